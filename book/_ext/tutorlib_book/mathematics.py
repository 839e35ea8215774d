"""Mathematics without the network: the parts of MathJax that the pages need, copied beside them with their licence.

The parts are those that this book's formulas use: TeX with the macros of the AMS, boxes of HTML with fonts, and MathML
for screen readers. There is no menu, and with it goes the tab stop that MathJax gives every formula. A formula that
needs another part, or a character that the smaller fonts lack, fails a test.
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from fontTools import subset
from sphinx.application import Sphinx

PACKAGE = "mathjax"  # as django-static-mathjax installs it: MathJax's own files, and nothing else
PARTS = ("core", "input/tex-base", "[tex]/ams", "output/chtml", "a11y/assistive-mml")
"""What ``startup.js`` loads, by MathJax's names."""
FONTS = "output/chtml/fonts/woff-v2"
COPIED = (
    "startup.js",
    "core.js",
    "input/tex-base.js",
    "input/tex/extensions/ams.js",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    FONTS,
    "a11y/assistive-mml.js",
)
LETTERS = {*range(0x20, 0x7F), 0xA0, *range(0x391, 0x3F6)}
SYMBOLS = (
    "¬ ¯°±´·×÷ˆˇ˘˙˚˜̂̃̄… ′″ℏℓℜℑℵ←↑→↓↔↦⇐⇒⇔∀∂∃∅∇∈∉∋∏∑−∓∖∗∘∙√∝∞∠∣∥∧∨∩∪∫∼≃≅≈≠≡≤≥≪≫≺≻⊂⊃⊆⊇⊊⊕⊖⊗⊘⊙⊢⊤⊥⋅⋆⋮⋯⋱⟨⟩⟵⟶⟷⟸⟹⟺"
    "⌈⌉⌊⌋⎛⎜⎝⎞⎟⎠⎧⎨⎩⎪■□◯△▽†‡‖–—"
)
SMALLER = {
    "MathJax_Main-Regular": LETTERS | set(map(ord, SYMBOLS)),
    "MathJax_Main-Bold": LETTERS,
    "MathJax_AMS-Regular": LETTERS | set(map(ord, SYMBOLS)),
}
"""What is left in the fonts of 35 KB each: most of what they have are arrows and relations that no page has."""
CHANGES = """The files of this folder are MathJax's own, under the licence beside this note, but for the fonts. None has
instructions for coarse screens, and some have only letters, digits and common signs:
{fonts}
"""
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
    for path in (target / FONTS).glob("*.woff"):
        make_smaller(path, SMALLER.get(path.stem))
    (target / "CHANGES").write_text(CHANGES.format(fonts=", ".join(SMALLER)), encoding="utf-8")


def make_smaller(path: Path, characters: set[int] | None) -> None:
    """Take the instructions for coarse screens out of a font, and the characters that are not among those named."""
    options = subset.Options(flavor="woff", layout_features=[], hinting=False, drop_tables=["FFTM"])
    font = subset.load_font(path, options)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=font.getBestCmap() if characters is None else characters)
    cutter.subset(font)
    subset.save_font(font, path, options)


def leave_out(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let a page without a formula load nothing for formulas."""
    if FORMULA not in context.get("body", ""):
        context["script_files"] = [
            script
            for script in context["script_files"]
            if not str(getattr(script, "filename", script) or "").startswith(SCRIPTS)
            and "window.MathJax" not in getattr(script, "attributes", {}).get("body", "")
        ]
