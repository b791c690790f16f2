"""A stand-in for the Hugging Face hub: one process's memory, the few calls that a client of ours makes.

Large files come as git-lfs has it: announced with their sha256, put in one piece or several, verified, and
only then named in a commit. https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40
LARGE = 1 << 20  # bytes from which a file goes the way of large ones
PART = 3 << 20  # bytes of a piece of what is put in several
Files = dict[str, dict[str, bytes]]  # by repository, then by path; data sets as datasets/owner/name


class _Handler(BaseHTTPRequestHandler):
    repositories: Files
    token: str | None
    full: bool  # there is no room for large files
    parts: dict[str, dict[int, bytes]]  # what was put, by sha256 and number of the piece
    verified: set[str]

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        if not self.path.startswith("/api/"):
            return self._file(body=True)
        repo = self._api_repository()
        if repo is None or "/tree/" not in self.path:
            return self._refuse("RepoNotFound", 404 if repo is None else 400)
        files = self.repositories[repo]
        found = [{"type": "file", "path": p, "size": len(c), "oid": _digest(c)} for p, c in files.items()]
        return self._json(found)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            return self._refuse("", 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            name = f"datasets/{name}" if asked.get("type") == "dataset" else name
            self.repositories.setdefault(name, {})
            return self._json({"url": f"http://{self.headers['Host']}/{name}", "id": name})
        if self.path.endswith(".git/info/lfs/objects/batch"):
            return self._announced(json.loads(body)["objects"])
        if self.path.startswith("/lfs/"):
            return self._whole(json.loads(body))
        repo = self._api_repository()
        if repo is None:
            return self._refuse("RepoNotFound", 404)
        if "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            modes = [{"path": each["path"], "uploadMode": _mode(each["size"])} for each in asked]
            return self._json({"files": [{"shouldIgnore": False, "oid": None, **mode} for mode in modes]})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.repositories[repo][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            if line["key"] == "lfsFile":
                if line["value"]["oid"] not in self.verified:
                    return self._refuse("", 400)
                self.repositories[repo][line["value"]["path"]] = self._put(line["value"]["oid"])
        return self._json(
            {
                "commitUrl": f"http://{self.headers['Host']}/{repo}",
                "commitOid": COMMIT,
                "pullRequestUrl": None,
            }
        )

    def _announced(self, objects: list[dict]) -> None:
        """Where each large file is put, in how many pieces, and where it is verified."""
        answers = []
        for each in objects:
            oid, size = each["oid"], each["size"]
            if self.full:
                answers.append({**each, "error": {"code": 507, "message": "quota exceeded"}})
                continue
            at = f"http://{self.headers['Host']}/lfs/{oid}"
            upload: dict = {"href": f"{at}/1"}
            if size > PART:
                header = {str(number): f"{at}/{number}" for number in range(1, -(-size // PART) + 1)}
                upload = {"href": f"{at}/complete", "header": {"chunk_size": str(PART), **header}}
            answers.append({**each, "actions": {"upload": upload, "verify": {"href": f"{at}/verify"}}})
        self._json({"transfer": "basic", "objects": answers})

    def _whole(self, told: dict) -> None:
        """After the pieces: all are there and in order, and are what was announced."""
        oid, parts = told["oid"], self.parts.get(told["oid"], {})
        tags = [_digest(parts[number]) for number in sorted(parts)]
        if "parts" in told and [part["etag"].strip('"') for part in told["parts"]] != tags:
            return self._refuse("", 400)
        if hashlib.sha256(self._put(oid)).hexdigest() != oid:
            return self._refuse("", 422)
        if self.path.endswith("/verify"):
            self.verified.add(oid)
        return self._json({})

    def _put(self, oid: str) -> bytes:
        return b"".join(self.parts.get(oid, {})[number] for number in sorted(self.parts.get(oid, {})))

    def do_PUT(self) -> None:
        _, _, oid, number = self.path.split("/")
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = b"".join(self._chunks())
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.parts.setdefault(oid, {})[int(number)] = content
        self.send_response(200)
        self.send_header("ETag", f'"{_digest(content)}"')
        self._end(b"")

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _api_repository(self) -> str | None:
        path = self.path.partition("?")[0].removeprefix("/api/")
        kind, owner, name = [*path.split("/"), "", ""][:3]
        repo = f"{'datasets/' if kind == 'datasets' else ''}{owner}/{name}"
        return repo if repo in self.repositories else None

    def _file(self, body: bool) -> None:
        repo, _, rest = self.path.lstrip("/").partition("/resolve/")
        name = rest.partition("/")[2].partition("?")[0]
        if repo not in self.repositories:
            return self._refuse("RepoNotFound", 404)
        if name not in self.repositories[repo]:
            return self._refuse("EntryNotFound", 404)
        content = self.repositories[repo][name]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{_digest(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self._end(content[start:], body)
        return None

    def _json(self, value: object) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self._end(json.dumps(value).encode())

    def _refuse(self, code: str, status: int) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self._end(b"{}", self.command != "HEAD")

    def _end(self, content: bytes, body: bool = True) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _mode(size: int) -> str:
    return "regular" if size < LARGE else "lfs"


@contextmanager
def hub_server(repositories: Files, token: str | None = None, full: bool = False) -> Iterator[str]:
    """Serve repositories on this machine; gives the address for ``HF_ENDPOINT``."""
    state = {"repositories": repositories, "token": token, "full": full, "parts": {}, "verified": set()}
    handler = type("Handler", (_Handler,), state)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
