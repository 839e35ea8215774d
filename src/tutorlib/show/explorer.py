"""Interactive figures that work with a kernel and without one.

An explorer is one ES module plus one piece of data. What a notebook shows and stores of it is the *twin*: module and
data inlined in ``text/html``, with a host of a few lines (``host.mjs``) that plays the part of a widget's model. The
twin loads nothing, so it works offline and on any web server, and its text depends on its content alone, so a
notebook does not change when it is executed again. The book's pages keep the same parts in files of their own.

In a live kernel an anywidget with the same module and data exists beside the twin. Where the front end makes its
model, as JupyterLab and the classic notebook do, twin and widget share their selection. The widget itself is not in
the output: a notebook that is opened again has no model for it, and front ends would say so and hide the twin.
"""

import base64
import hashlib
import html
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from importlib.resources import files
from typing import Any

from tutorlib.lab.errors import UsageError, bad_argument, checked, choose

MAX_DATA_BYTES = 200_000
"""Most bytes that an explorer's data may have as JSON, so that a page stays light."""

MAX_INLINE_PICTURE_BYTES = 64_000
"""A larger picture is not repeated inside the twin, where readers without scripts would see it."""


class Explorer:
    """One interactive figure: an ES module of this package, its data, and a picture for where no script runs.

    Make it the last expression of a notebook cell. The output holds ``text/html`` (the twin), ``image/png``
    when there is a picture (PDF, previews), and ``text/plain``. In a live kernel that has anywidget, the twin
    follows the ``selection`` of ``widget``, and the other way round. The environment variable
    ``TUTORLIB_EXPLORER=static`` leaves the widget out; notebooks of the book are executed with it.

    Args:
        module: name of an ES module in ``tutorlib/show``, such as ``"grid_explorer"``. It exports
            ``{ render }`` in the anywidget front-end format and reads ``data``, ``label`` and ``selection``.
        data: what the module draws; JSON values only, at most ``MAX_DATA_BYTES`` once serialised.
        label: one sentence that says what the figure shows; the name of the figure for screen readers.
        picture: the same figure as a PNG file, in its most telling state.

    Raises:
        UsageError: if there is no such module, the data is not finite JSON or too large, the label is
            empty, or the picture is not a PNG file.
    """

    @checked()
    def __init__(self, module: str, data: Mapping[str, Any], label: str, picture: bytes | None = None):
        if not label.strip():
            raise bad_argument("label", label, "a sentence that says what the figure shows")
        if picture is not None and not picture.startswith(b"\x89PNG\r\n"):
            raise bad_argument("picture", picture[:8], "the bytes of a PNG file")
        self.module = choose("module", module, modules())
        self.data = data
        self.label = label
        self.picture = picture
        self._json = to_json(data)

    def __repr__(self) -> str:
        return f"Explorer({self.module!r}, {self.label!r})"

    @property
    def source(self) -> str:
        """Text of the ES module, whole: the parts it imports stand in it."""
        return _IMPORT.sub(lambda match: _inner(_text(match[1])), _text(self.module))

    @property
    def html(self) -> str:
        """The twin: the figure as a piece of HTML that needs nothing else."""
        return twin(self.source, self._json, self.label, self.picture)

    @property
    def key(self) -> str:
        """A short text that is the same for the same content."""
        return _key(classic(self.source), _state(self._json, self.label), _fallback(self.label, self.picture))

    @cached_property
    def widget(self) -> Any:
        """The same figure as an anywidget, whose ``selection`` can be read and set from Python.

        Shown by itself it is a live view and nothing else, for front ends that keep each output in a frame of its
        own (VS Code, Colab); a notebook that is opened again has no picture of it.

        Raises:
            ModuleNotFoundError: if anywidget is not installed.
        """
        import anywidget
        from traitlets import Dict, Unicode

        class ExplorerWidget(anywidget.AnyWidget):
            _esm = _live(self.source)
            data = Dict().tag(sync=True)
            label = Unicode().tag(sync=True)
            key = Unicode().tag(sync=True)
            selection = Dict().tag(sync=True)

            def __repr__(self) -> str:
                return f"ExplorerWidget({self.label!r})"

        return ExplorerWidget(data=json.loads(self._json), label=self.label, key=self.key)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        if in_live_kernel():
            with suppress(ModuleNotFoundError):  # without anywidget the twin does all but talk to Python
                _ = self.widget
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self.html}
        if self.picture is not None:
            bundle["image/png"] = base64.b64encode(self.picture).decode("ascii")
        return bundle, {}


# How an explorer's module takes up what explorers share. A page can load no second file, so the text of that file
# takes the place of this line; a name that both define is then an error when the module loads.
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.mjs";$', flags=re.M)

_EXPORT = "\nexport default { render };"


def _text(module: str) -> str:
    """Return the text of an ES module of this package."""
    return files("tutorlib.show").joinpath(f"{module}.mjs").read_text(encoding="utf-8")


def _inner(text: str) -> str:
    """Return the text of an ES module so that it can stand within another."""
    return re.sub("^export ", "", text, flags=re.MULTILINE)


def _live(source: str) -> str:
    """Return the module of a live widget, which tells the twins on its page of itself."""
    return source.replace(_EXPORT, _inner(_text("host")) + "\nexport default { render, initialize: announce };")


def classic(source: str) -> str:
    """Return a script that keeps how to show a module, by ``module_name(source)`` in the table ``tutorlibExplorers``.

    A classic script, because browsers load no module from a file on the reader's own disk, and because a module within
    a page could only be had through a blob's address, which some pages' rules for contents refuse. ``source`` is a
    module that imports nothing and ends with its default export; what else it exports is of no use here.

    Raises:
        UsageError: if ``source`` is not of that form, or has a text in it that ends a script of a page.
    """
    body, default, rest = source.rpartition("\nexport default ")
    imports = re.search(r"^import\b|\bimport\(", source, flags=re.MULTILINE)
    if not default or imports or not re.fullmatch(r"[^;]+;\s*", rest):
        raise bad_argument("source", source[-40:], "an ES module that imports nothing and ends with a default export")
    if ending := re.search(r"</script|<!--", source, flags=re.IGNORECASE):
        raise bad_argument("source", ending[0], "a module without this text, which ends a script of a page")
    return (
        f'(() => {{\n"use strict";\n{_inner(_text("host"))}\n'
        f"const widget = (() => {{\n{_inner(body)}\nreturn {rest.strip()}\n}})();\n"
        f'(window.tutorlibExplorers ??= {{}})["{module_name(source)}"] = (key, state) => showAll(key, widget, state);\n'
        "})();\n"
    )


def module_name(source: str) -> str:
    """Return a name for a module's text and for what ``classic`` adds to it, the same for the same text."""
    return hashlib.sha256((_text("host") + source).encode()).hexdigest()[:12]


def modules() -> list[str]:
    """Return the names of the ES modules that an ``Explorer`` can show."""
    names = (entry.name for entry in files("tutorlib.show").iterdir())
    return sorted(name.removesuffix(".mjs") for name in names if name.endswith("_explorer.mjs"))


def in_live_kernel() -> bool:
    """Return whether a Jupyter kernel runs this code and ``TUTORLIB_EXPLORER`` does not say ``static``.

    Raises:
        UsageError: if ``TUTORLIB_EXPLORER`` is set to anything but ``static`` or ``auto``.
    """
    face = os.environ.get("TUTORLIB_EXPLORER") or "auto"
    if choose("TUTORLIB_EXPLORER", face, ["auto", "static"]) == "static":
        return False
    ipython = sys.modules.get("IPython")  # a kernel has imported it; a script has no reason to
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


@checked()
def twin(source: str, data: str, label: str, picture: bytes | None = None) -> str:
    """Return the HTML of a static explorer: the module's ``source``, its ``data`` as JSON text, and the host.

    Until the module has drawn itself, and where scripts do not run, the box shows the picture or, if that is
    missing or large, a sentence. This is plain content and not ``<noscript>``, which stays hidden in
    viewers that run scripts but strip them from notebooks.
    """
    script = classic(source)
    state, fallback = _state(data, label), _fallback(label, picture)
    key = _key(script, state, fallback)
    return (
        f'<div class="tutorlib-explorer" data-explorer="{key}">\n{fallback}\n'
        f'<script type="application/json">{state}</script>\n</div>\n'
        f'<script type="module">\n{script}{CALL}["{module_name(source)}"]("{key}");\n</script>\n'
    )


CALL = "tutorlibExplorers"
"""What the last line of a twin's script begins with."""


def _state(data: str, label: str) -> str:
    """Return the first state of a twin's model as JSON text."""
    text = f'{{"label":{json.dumps(label, ensure_ascii=False)},"data":{data},"selection":{{}}}}'
    # No "<" is left in the script, so neither "</script" nor "<!--" in the data can end it.
    return text.replace("<", "\\u003c")


def _fallback(label: str, picture: bytes | None) -> str:
    """Return what the box of a twin shows until, or unless, its script has run."""
    if picture is not None and len(picture) <= MAX_INLINE_PICTURE_BYTES:
        encoded = base64.b64encode(picture).decode("ascii")
        return f'<img class="fallback" alt="{html.escape(label)}" src="data:image/png;base64,{encoded}">'
    sentence = f"{html.escape(label)} (Interactive figure: it needs a browser that runs scripts.)"
    return f'<p class="fallback">{sentence}</p>'


def _key(*parts: str) -> str:
    """Return the name of a twin's content."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]


@checked()
def to_json(data: Mapping[str, Any]) -> str:
    """Return ``data`` as JSON text that is the same for equal data.

    Raises:
        UsageError: if a value is not JSON, not finite, or the text is longer than ``MAX_DATA_BYTES``; the
            message names the key, or the size.
    """
    _check_json("data", data)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    size = len(text.encode())
    if size > MAX_DATA_BYTES:
        raise UsageError(f"data is {size:,} bytes as JSON: expected at most {MAX_DATA_BYTES:,}")
    return text


def _check_json(path: str, value: object) -> None:
    """Raise ``UsageError`` naming the first entry under ``path`` that is not finite JSON."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise bad_argument(f"key of {path}", key, "a str")
            _check_json(f"{path}[{key!r}]", entry)
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            _check_json(f"{path}[{i}]", entry)
    elif isinstance(value, float) and not math.isfinite(value):
        raise bad_argument(path, value, "a finite number, or None where there is none")
    elif not isinstance(value, str | bool | int | float | None):
        raise bad_argument(path, value, "a JSON value: dict, list, str, bool, int, float or None")


@checked(minimum={"digits": 1}, maximum={"digits": 17})
def rounded(value: Any, digits: int = 3) -> Any:
    """Return ``value`` with every float in it rounded to ``digits`` significant digits.

    Goes through dicts, lists and tuples (which become lists), NumPy arrays and scalars, and tensors.
    """
    if hasattr(value, "tolist"):
        return rounded(value.tolist(), digits)
    if isinstance(value, Mapping):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry, digits) for entry in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
