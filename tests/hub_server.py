"""A stand-in for the Hugging Face hub: one process's memory, the few calls that a client of ours makes."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40
Files = dict[str, dict[str, bytes]]  # by repository, then by path; data sets as datasets/owner/name


class _Handler(BaseHTTPRequestHandler):
    repositories: Files
    token: str | None

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
        repo = self._api_repository()
        if repo is None:
            return self._refuse("RepoNotFound", 404)
        if "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            regular = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self._json({"files": [{"path": each["path"], **regular} for each in asked]})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.repositories[repo][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        return self._json(
            {
                "commitUrl": f"http://{self.headers['Host']}/{repo}",
                "commitOid": COMMIT,
                "pullRequestUrl": None,
            }
        )

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


@contextmanager
def hub_server(repositories: Files, token: str | None = None) -> Iterator[str]:
    """Serve repositories on this machine; gives the address for ``HF_ENDPOINT``."""
    handler = type("Handler", (_Handler,), {"repositories": repositories, "token": token})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
