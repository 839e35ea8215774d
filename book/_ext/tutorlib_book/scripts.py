"""Scripts in files: a finished page holds none itself, so a site's rules for contents need not allow any in pages.

A stored notebook carries its explorers whole, for readers elsewhere. On a page of the book an explorer loads two files:
its module, one for all explorers of its kind, and its data. They are classic scripts, because browsers refuse modules
from a file on the reader's own disk. What the theme and Sphinx write into pages goes the same way.
"""

import hashlib
import re
from pathlib import Path

from sphinx.application import Sphinx

from tutorlib.show.explorer import CALL

FOLDER = "_static/inline"

TWIN = re.compile(
    r'(<div class="tutorlib-explorer" data-explorer="(?P<key>\w+)">\n)(?P<fallback>.*?)\n'
    r'<script type="application/json">(?P<state>.*?)</script>\n</div>\n<script type="module">(?P<script>.*?)</script>',
    re.DOTALL,
)
INLINE = re.compile(r"<script\b(?P<attributes>(?:(?!\ssrc=)[^>])*)>(?P<body>.*?)</script>", re.DOTALL)
ONCLICK = re.compile(r'(<\w+[^<>]*?\s)onclick="(?:window\.)?(\w+)\(\)"')
SCRIPT_TYPES = ("text/javascript", "module")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", add_press)
    app.connect("build-finished", move_scripts)


def add_press(app: Sphinx) -> None:
    app.add_js_file("press.js", loading_method="defer")


def move_scripts(app: Sphinx, exception: Exception | None) -> None:
    """Move the scripts of all finished pages into files beside them."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    folder = site / FOLDER
    folder.mkdir(exist_ok=True)
    used: set[str] = set()
    for path in site.rglob("*.html"):
        if "_static" in path.relative_to(site).parts:
            continue
        before = path.read_text(encoding="utf-8")
        up = "../" * (len(path.relative_to(site).parts) - 1)
        after, scripts = without_scripts(before, f"{up}{FOLDER}")
        for name, content in scripts.items():
            (folder / name).write_text(content, encoding="utf-8")
        if after != before:
            path.write_text(after, encoding="utf-8")
        used |= set(re.findall(rf'{FOLDER}/(\w[\w.-]*)"', after))
    for path in folder.iterdir():  # of an earlier build
        if path.name not in used:
            path.unlink()


def without_scripts(page: str, folder: str) -> tuple[str, dict[str, str]]:
    """Return a page whose scripts are in files of ``folder``, and these files by name."""
    files: dict[str, str] = {}
    loaded: set[str] = set()

    def file_named(kind: str, content: str) -> str:
        # The name changes with the content, so no reader's browser keeps an old file for it.
        name = f"{kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}.js"
        files[name] = content
        return name

    def explorer(match: re.Match[str]) -> str:
        script, _, call = match["script"].strip().rpartition("\n")
        assert call.startswith(CALL), call
        kind = file_named("explorer", script.strip() + "\n")
        data = file_named("data", call.replace(");", f", {match['state']});") + "\n")
        tags = "".join(
            f'<script defer src="{folder}/{name}"></script>\n' for name in (kind, data) if name not in loaded
        )
        loaded.update((kind, data))
        return f"{match[1]}{match['fallback']}\n</div>\n{tags}"

    def inline(match: re.Match[str]) -> str:
        kind = re.search(r'\btype="([^"]*)"', match["attributes"])
        if kind and kind[1] not in SCRIPT_TYPES:
            return match[0]  # data
        name = file_named("part", match["body"].strip() + "\n")
        attributes = re.sub(r"\s(?:defer|async)\b(?:=\S*)?", "", match["attributes"])  # of no effect without a file
        return f'<script{attributes} src="{folder}/{name}"></script>'

    page = INLINE.sub(inline, TWIN.sub(explorer, page))
    return ONCLICK.sub(r'\1data-press="\2"', page), files
