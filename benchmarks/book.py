"""How long ``make book`` takes in a fresh clone, and how heavy the pages are.

python benchmarks/book.py              clone, make book twice (the wheels come from pip's cache), weigh the pages
python benchmarks/book.py --site DIR   only weigh the pages of a built site
"""

import argparse
import gzip
import re
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent


def compressed(path: Path) -> int:
    """Return the size of a file as a web server sends it: text compressed, pictures and fonts as they are."""
    data = path.read_bytes()
    return len(data) if path.suffix in (".png", ".jpg", ".woff2", ".woff") else len(gzip.compress(data, 6))


def weight(page: Path) -> int:
    """Return the bytes behind a page: the page and the files of the site that it names in src, href and url()."""
    text = page.read_text(encoding="utf-8")
    files = {page}
    for tag in re.findall(r"<(?:script|link|img|source)\b[^>]*>", text):
        if 'rel="search"' in tag or 'rel="next"' in tag or 'rel="prev"' in tag or 'rel="index"' in tag:
            continue
        for name in re.findall(r'(?:src|href)="([^"#]+)"', tag):
            files.add((page.parent / urlsplit(name).path).resolve())
    files = {file for file in files if file.is_file()}
    for sheet in [file for file in files if file.suffix == ".css"]:
        for name in re.findall(r"url\(['\"]?([^'\")]+\.woff2)", sheet.read_text(encoding="utf-8")):
            files.add((sheet.parent / name).resolve())
    return sum(compressed(file) for file in files if file.is_file())


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
        pages = sorted(site.rglob("*.html"), key=weight, reverse=True)
        for page in pages[:5]:
            print(f"{weight(page) / 1000:.0f} KB  {page.relative_to(site)}")
        print(f"{len(pages)} pages, the heaviest {weight(pages[0]) / 1000:.0f} KB compressed (goal 600 KB)")


if __name__ == "__main__":
    main()
