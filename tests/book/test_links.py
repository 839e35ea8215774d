"""What ``make links`` says of outside links, asked of a server of this machine: no test needs a network."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from toc import REPOSITORY
from tree import program


@pytest.fixture(scope="module")
def links() -> ModuleType:
    module = program("book/links.py")
    module.PAUSE = 0.01
    return module


ASKED: Counter[str] = Counter()


class Handler(BaseHTTPRequestHandler):
    """A page, one that has moved, one that is gone, one that refuses programs, and some that fail at first."""

    def do_GET(self) -> None:
        ASKED[self.path] += 1
        status = {"/here": 200, "/moved": 301, "/moved-away": 302, "/gone": 404, "/refuses": 403}.get(self.path, 503)
        if self.path == "/busy-twice" and ASKED[self.path] > 2:
            status = 200
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", "/here" if status == 301 else "/gone")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    ASKED.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def written(site: Path, *links: str, page: str = "index.html") -> Path:
    path = site / page
    path.parent.mkdir(parents=True, exist_ok=True)
    body = "".join(f'<p><a class="x" href="{link}">word</a></p>' for link in links)
    path.write_text(f"<html><link href='http://127.0.0.1:1/style.css'>{body}</html>", encoding="utf-8")
    return path


def test_only_what_lies_outside_is_asked_for_and_once(links: ModuleType, tmp_path: Path) -> None:
    written(tmp_path, "https://a.org/x?a=1&amp;b=2#part", "book/intro.html", "#top", f"{REPOSITORY}/edit/main/x.md")
    written(tmp_path, "https://a.org/x?a=1&amp;b=2", REPOSITORY, "mailto:a@a.org", page="book/intro.html")
    written(tmp_path, "https://b.org/", page="_static/page.html")
    both = ["book/intro.html", "index.html"]
    assert links.outside_links(tmp_path) == {"https://a.org/x?a=1&b=2": both, REPOSITORY: ["book/intro.html"]}


def test_a_link_lives_where_its_server_shows_something_in_the_end(links: ModuleType, server: str) -> None:
    client = links.session()
    for path in ("/here", "/moved", "/busy-twice"):
        assert links.ask(client, server + path) == links.Answer(server + path)
    assert ASKED["/busy-twice"] == 3
    assert links.ask(client, server + "/gone") == links.Answer(server + "/gone", "answers 404", dead=True)
    assert links.ask(client, server + "/moved-away").fault == "answers 404"
    assert links.ask(client, server + "/refuses") == links.Answer(server + "/refuses", "refused (403)")
    assert links.ask(client, server + "/away") == links.Answer(server + "/away", "answers 503", dead=True)
    assert ASKED["/away"] == 4
    nobody = links.ask(client, "http://127.0.0.1:1/")
    assert nobody.dead
    assert nobody.fault == "no answer (ConnectionError)"


def run(links: ModuleType, monkeypatch: pytest.MonkeyPatch, site: Path) -> str:
    """Return what the program says when it fails, or nothing."""
    monkeypatch.setattr("sys.argv", ["links.py", "--site", str(site), "--report", str(site / "links.md")])
    try:
        links.main()
    except SystemExit as end:
        return str(end.code)
    return ""


def test_a_dead_link_is_named_with_its_pages_and_a_report_is_there_only_then(
    links: ModuleType, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, f"{server}/here", f"{server}/gone")
    written(tmp_path, f"{server}/gone#part", f"{server}/refuses", page="book/intro.html")
    line = f"- {server}/gone: answers 404, on book/intro.html, index.html\n"
    said = run(links, monkeypatch, tmp_path)
    assert said == f"Dead links:\n{line}\nlinks: 1 of 3 are dead"
    assert (tmp_path / "links.md").read_text() == line
    assert f"- {server}/refuses: refused (403), on book/intro.html\n" in capsys.readouterr().out
    written(tmp_path, f"{server}/here")
    written(tmp_path, f"{server}/moved", page="book/intro.html")
    assert run(links, monkeypatch, tmp_path) == ""
    assert capsys.readouterr().out == "links: none of 2 is dead\n"
    assert not (tmp_path / "links.md").exists()


def test_no_built_book_is_said(links: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(links, monkeypatch, tmp_path) == (
        f"links: {tmp_path} has no index.html: build the book first, with make book"
    )
