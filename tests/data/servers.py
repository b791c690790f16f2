"""Real servers on this machine that misbehave as told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """One file over HTTP.

    Attributes:
        content: What it serves.
        cut_after: Bytes of an answer after which it drops the connection, one entry an answer; then none.
        status: Answers every request with this instead.
        ranges: Whether it understands them.
        headers: Further headers of every answer.
        asked: The ``Range`` headers that came.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.cut_after, self.ranges = content, [], True
        self.status: int | None = None
        self.etag = '"one"'
        self.headers: dict[str, str] = {}
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_HEAD(self) -> None:
        self._head(self.server.status or 200, len(self.server.content))

    def do_GET(self) -> None:
        server = self.server
        self.server.asked.append(self.headers["Range"])
        if server.status or self.headers["If-Match"] not in (None, server.etag):
            return self._head(server.status or 412, 0)
        start = 0
        if self.headers["Range"] and server.ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        body = server.content[start:]
        self._head(206 if start else 200, len(body))
        self.wfile.write(body[: server.cut_after.pop(0)] if server.cut_after else body)
        self.close_connection = True
        return None

    def _head(self, status: int, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", self.server.etag)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    server = FileServer(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


class CuttingProxy:
    """Passes a TCP port on; drops answers after so many bytes, one entry of ``cut_after`` a connection."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.cut_after: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=_pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client, self.cut_after), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, cut_after: list[int] | None) -> None:
    passed = 0
    with suppress(OSError):
        while block := source.recv(1 << 14):
            sink.sendall(block)
            passed += len(block)
            if cut_after and passed > cut_after[0]:
                cut_after.pop(0)
                break
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
