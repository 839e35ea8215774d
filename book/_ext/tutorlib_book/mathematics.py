"""Mathematics without the network: the parts of MathJax that the pages need, copied beside them with their licence.

The parts are those that this book's formulas use: TeX with the macros of the AMS, boxes of HTML with fonts, and MathML
for screen readers. There is no menu, and with it goes the tab stop that MathJax gives every formula. A formula that
needs another part fails a test.
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PACKAGE = "mathjax"  # as django-static-mathjax installs it: MathJax's own files, and nothing else
PARTS = ("core", "input/tex-base", "[tex]/ams", "output/chtml", "a11y/assistive-mml")
"""What ``startup.js`` loads, by MathJax's names."""
COPIED = (
    "startup.js",
    "core.js",
    "input/tex-base.js",
    "input/tex/extensions/ams.js",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    "output/chtml/fonts/woff-v2",
    "a11y/assistive-mml.js",
)
FOLDER = "mathjax"
FORMULA = 'class="math '
SCRIPTS = (f"_static/{FOLDER}/", "_static/formulas.js")

AFTER_SPHINX = 600  # which adds MathJax at priority 500, to some pages that have no formula, too


def setup(app: Sphinx) -> None:
    app.connect("config-inited", configure)
    app.connect("builder-inited", copy)
    app.connect("html-page-context", leave_out, priority=AFTER_SPHINX)


def configure(app: Sphinx, config: object) -> None:
    """Let the pages that have formulas load the copy."""
    app.config.mathjax_path = f"{FOLDER}/startup.js"
    app.config.mathjax3_config = {
        "loader": {"load": list(PARTS)},
        "tex": {"packages": ["base", "ams"]},
    }
    app.add_js_file("formulas.js", loading_method="defer")


def copy(app: Sphinx) -> None:
    """Copy MathJax's parts and its licence into ``_static/mathjax`` of the built pages."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / FOLDER
    with as_file(files(PACKAGE) / "static" / "mathjax") as source:
        for name in COPIED:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if (source / "es5" / name).is_dir():
                shutil.copytree(source / "es5" / name, target / name, dirs_exist_ok=True)
            else:
                shutil.copyfile(source / "es5" / name, target / name)
        shutil.copyfile(source / "LICENSE", target / "LICENSE")


def leave_out(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let a page without a formula load nothing for formulas."""
    if FORMULA not in context.get("body", ""):
        context["script_files"] = [
            script
            for script in context["script_files"]
            if not str(getattr(script, "filename", script) or "").startswith(SCRIPTS)
            and "window.MathJax" not in getattr(script, "attributes", {}).get("body", "")
        ]
