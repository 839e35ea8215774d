"""Ask for every outside link of the built book, and name the dead ones with their pages.

    python book/links.py                   the links of _build/html; what is dead goes into _build/links.md, too
    python book/links.py --site FOLDER --report FILE

A link is dead where its server says that nothing is there, or does not answer, after three more tries. A server that
refuses programs (401, 403, 429 and the like) proves nothing: its links are listed, and are no failure. Links to this
repository's own files and to Colab are not asked for: tests hold them against the files.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urldefrag

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
OWN = (f"{REPOSITORY}/", f"{REPOSITORY.replace('github.com', 'colab.research.google.com/github')}/")
REFUSED = {401, 403, 405, 406, 418, 429, 451, 999}
"""what servers answer to programs that they would show the page to a reader"""
TIMEOUT, PAUSE = 20.0, 2.0
"""seconds until a server has answered, and before it is asked again; then longer"""
LINK = re.compile(r'<a\b[^>]*?\shref="(https?://[^"]+)"')


@dataclass(frozen=True)
class Answer:
    """What came of a link: nothing to say where it lives."""

    address: str
    fault: str = ""
    dead: bool = False


def outside_links(site: Path) -> dict[str, list[str]]:
    """Return the pages that each outside link stands on, without the part after ``#``."""
    pages_of: dict[str, set[str]] = {}
    for path in site.rglob("*.html"):
        page = path.relative_to(site).as_posix()
        if page.startswith("_"):
            continue
        for link in LINK.findall(path.read_text(encoding="utf-8")):
            address = urldefrag(unescape(link))[0]
            if not address.startswith(OWN):
                pages_of.setdefault(address, set()).add(page)
    return {address: sorted(pages) for address, pages in sorted(pages_of.items())}


def session() -> requests.Session:
    """Return a client that tries again where a server is busy or away."""
    retry = Retry(total=3, backoff_factor=PAUSE, status_forcelist=(500, 502, 503, 504), raise_on_status=False)
    client = requests.Session()
    client.headers["User-Agent"] = f"tutorlib-links (+{REPOSITORY})"
    for kind in ("http://", "https://"):
        client.mount(kind, HTTPAdapter(max_retries=retry))
    return client


def ask(client: requests.Session, address: str) -> Answer:
    """Return whether there is something at ``address``, or where it sends us."""
    try:
        with client.get(address, timeout=TIMEOUT, stream=True) as response:  # its body is not read
            status = response.status_code
    except requests.RequestException as error:
        return Answer(address, f"no answer ({type(error).__name__})", dead=True)
    if status < 400:
        return Answer(address)
    return Answer(address, f"refused ({status})" if status in REFUSED else f"answers {status}", status not in REFUSED)


def ask_all(addresses: Iterable[str], client: requests.Session) -> list[Answer]:
    """Return the answers, in order; eight servers are asked at once."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda address: ask(client, address), addresses))


def report(answers: Iterable[Answer], pages: Mapping[str, list[str]]) -> str:
    """Return the lines for those of ``answers`` that are not well, each with its pages."""
    return "".join(f"- {a.address}: {a.fault}, on {', '.join(pages[a.address])}\n" for a in answers if a.fault)


def main() -> None:
    """Ask for all links, say what is dead, and fail if anything is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the folder of the built book")
    parser.add_argument("--report", type=Path, default=ROOT / "_build" / "links.md", help="where dead links are listed")
    given = parser.parse_args()
    if not (given.site / "index.html").is_file():
        sys.exit(f"links: {given.site} has no index.html: build the book first, with make book")
    pages = outside_links(given.site)
    answers = ask_all(pages, session())
    dead = [answer for answer in answers if answer.dead]
    given.report.unlink(missing_ok=True)
    if refused := report((answer for answer in answers if not answer.dead), pages):
        print(f"Not shown to programs:\n{refused}")
    if dead:
        given.report.write_text(report(dead, pages), encoding="utf-8")
        sys.exit(f"Dead links:\n{report(dead, pages)}\nlinks: {len(dead)} of {len(answers)} are dead")
    print(f"links: none of {len(answers)} is dead")


if __name__ == "__main__":
    main()
