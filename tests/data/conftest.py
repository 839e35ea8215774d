"""A web server on this machine that misbehaves on request."""

import gzip
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep

import pytest

CONTENT = bytes(range(256)) * 1024  # 256 KiB, so that a transfer takes several chunks

CERTIFICATE = """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIMMWX3p4jxma37x8M0LeYoOnuJvUj4CoFEKqK5tvSfEaoAoGCCqGSM49
AwEHoUQDQgAERzrm0SwqTgfX7Xl6hDKFB9bP6T96yRnwQDRjzbdhTW7y13K0Wv/L
O1bV/OCzTmejINkOkAZFsUyMusJ9VCO+dw==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBkTCCATagAwIBAgIUSYJv/n31fcm/PFuUNS2EHV/mrAowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyOTE0MzgyMloYDzIxMjYxMTA1
MTQzODIyWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARHOubRLCpOB9fteXqEMoUH1s/pP3rJGfBANGPNt2FNbvLXcrRa/8s7
VtX84LNOZ6Mg2Q6QBkWxTIy6wn1UI753o2QwYjAdBgNVHQ4EFgQUtPZBphAQIPCC
fNPEAS9EVw+eHXcwHwYDVR0jBBgwFoAUtPZBphAQIPCCfNPEAS9EVw+eHXcwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0kAMEYC
IQDAfIjInvIYUO9Oqh7LIyVgkePHTkmu4mnpikHUKS36iwIhAIttkFRdda9n5bux
Gpiw/fxXXJoXgq/zDRLwn5joRkQe
-----END CERTIFICATE-----
"""  # signed by its own key, which secures nothing: no client knows it


class Server:
    """Serves ``CONTENT`` in the manner that a path names, and counts the requests for each path."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.requests: Counter[str] = Counter()
        self.headers: dict[str, str] = {}
        self.sent = 0  # bytes, by "endless"
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

            def endless(self) -> None:  # never says how much, and never ends
                self.send_response(200)
                self.end_headers()
                try:
                    while not outer.stop.is_set():
                        self.wfile.write(CONTENT)
                        outer.sent += len(CONTENT)
                except OSError:  # the client has had enough
                    pass

            def toolong(self) -> None:
                self.send(CONTENT + b"X", len(CONTENT) + 1)

            def oddlength(self) -> None:
                self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + CONTENT)

            def twolengths(self) -> None:
                self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 7\r\n\r\n" + CONTENT)

            def badencoding(self) -> None:
                self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n")

            def headers200(self) -> None:
                self.raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n" + CONTENT)

            def nonsense(self) -> None:
                self.raw(b"\x00\xff nobody speaks this\r\n\r\n")

            def loop(self) -> None:
                self.redirect("/loop")

            def nowhere(self) -> None:
                self.redirect("http://[half/an/address")

            def elsewhere(self) -> None:
                self.redirect("ftp://127.0.0.1/rows.gz")

            def longname(self) -> None:
                self.redirect(f"http://{'a' * 70}.test/rows.gz")

            def redirect(self, where: str) -> None:
                self.raw(f"HTTP/1.0 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())

            def raw(self, answer: bytes) -> None:
                self.wfile.write(answer)

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
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
            self.address = self.address.replace("http", "https")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield from serving(Server())


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The same behind a certificate that nobody trusts; ``REQUESTS_CA_BUNDLE`` may name ``<tmp_path>/own.pem``."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "own.pem").write_text(CERTIFICATE)
    yield from serving(Server(tmp_path / "own.pem"))


def serving(server: Server) -> Iterator[Server]:
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
