"""How long ``make book`` takes in a fresh clone, and how heavy the pages are.

python benchmarks/book.py              clone, make book twice (the wheels come from pip's cache), weigh the pages
python benchmarks/book.py --site DIR   only weigh the pages of a built site
"""

import argparse
import gzip
import shutil
import subprocess
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Response, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
COMPRESSED = (".html", ".css", ".js", ".svg", ".json")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def weight(browser: Browser, address: str) -> int:
    """Return the bytes that a first visit fetches from the site, text compressed; MathJax is left out."""
    responses: list[Response] = []
    page = browser.new_page()
    page.on("response", lambda response: responses.append(response) if response.ok else None)
    page.route(lambda url: "127.0.0.1" not in url, lambda route: route.abort())
    page.goto(address, wait_until="networkidle")
    total = 0
    for response in responses:
        body = response.body() if response.ok and response.request.method == "GET" else b""
        total += len(gzip.compress(body, 6)) if response.url.split("?")[0].endswith(COMPRESSED) else len(body)
    page.close()
    return total


def weigh(site: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        pages = [path.relative_to(site).as_posix() for path in site.rglob("*.html") if path.name != "index.html"]
        sizes = sorted(
            ((weight(browser, f"http://127.0.0.1:{server.server_port}/{p}"), p) for p in pages), reverse=True
        )
        browser.close()
    server.shutdown()
    for size, page in sizes[:4]:
        print(f"{size / 1000:.0f} KB  {page}")
    print(f"{len(sizes)} pages, the heaviest {sizes[0][0] / 1000:.0f} KB compressed (goal 600 KB)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--site", type=Path)
    site = parser.parse_args().site
    with tempfile.TemporaryDirectory() as folder:
        if site is None:
            clone = Path(folder) / "clone"
            subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
            for name in ("first", "second"):
                begin = time.perf_counter()
                subprocess.run(["make", "book"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
                print(f"make book, {name} time: {time.perf_counter() - begin:.0f} s")
            site = clone / "_build" / "html"
        weigh(site)


if __name__ == "__main__":
    main()
