"""A web server on this machine that misbehaves on request."""

import gzip
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep

import pytest

CONTENT = bytes(range(256)) * 1024  # 256 KiB, so that a transfer takes several chunks


class Server:
    """Serves ``CONTENT`` in the manner that a path names, and counts the requests for each path."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.headers: dict[str, str] = {}
        self.stop = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests[self.path] += 1
                outer.headers = dict(self.headers)
                getattr(self, self.path.strip("/"))()

            def send(self, body: bytes, length: int) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def good(self) -> None:
                self.send(CONTENT, len(CONTENT))

            def slow(self) -> None:  # long enough for a second process to ask meanwhile
                self.send(CONTENT[:1000], len(CONTENT))
                sleep(0.5)
                self.wfile.write(CONTENT[1000:])

            def truncated(self) -> None:  # breaks off
                self.send(CONTENT[: len(CONTENT) // 2], len(CONTENT))

            def short(self) -> None:  # breaks off, and says that this is all
                self.send(CONTENT[: len(CONTENT) // 2], len(CONTENT) // 2)

            def corrupt(self) -> None:
                self.send(b"X" + CONTENT[1:], len(CONTENT))

            def missing(self) -> None:
                self.send_error(404)

            def broken(self) -> None:
                self.send_error(500)

            def silent(self) -> None:  # accepts, and never answers
                outer.stop.wait(60)

            def stalled(self) -> None:  # answers, and then says no more
                self.send(CONTENT[:1000], len(CONTENT))
                outer.stop.wait(60)

            def zipped(self) -> None:  # calls the file's own compression a transfer encoding, if it may
                body = gzip.compress(CONTENT, mtime=0)
                self.send_response(200)
                if "gzip" in self.headers.get("Accept-Encoding", ""):
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stop.set()
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no ``TUTORLIB_DATA``."""
    monkeypatch.delenv("TUTORLIB_DATA", raising=False)
    monkeypatch.setenv("TUTORLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
