"""Interactive figures that work with a kernel and without one.

An explorer is one ES module plus one piece of data, shown with two faces. In a live kernel it is an
anywidget. On a published page it is the *twin*: the same module and the same data inlined in ``text/html``,
with a host of a few lines that plays the part of the widget's model. The twin loads nothing, so it works
offline and on any web server, and its text depends on its content alone, so a notebook does not change when
it is executed again.
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

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"


class Explorer:
    """One interactive figure: an ES module of this package, its data, and a picture for where no script runs.

    Make it the last expression of a notebook cell. The output holds ``text/html`` (the twin), ``image/png``
    when there is a picture (PDF, previews), ``text/plain``, and, in a live kernel that has anywidget, the
    widget. The environment variable ``TUTORLIB_EXPLORER=static`` leaves the widget out; notebooks of the
    book are executed with it.

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
        return _IMPORT.sub(lambda found: re.sub("^export ", "", _text(found[1]), flags=re.M), _text(self.module))

    @property
    def html(self) -> str:
        """The twin: the figure as a piece of HTML that needs nothing else."""
        return twin(self.source, self._json, self.label, self.picture)

    @cached_property
    def widget(self) -> Any:
        """The same figure as an anywidget, whose ``selection`` can be read and set from Python.

        Raises:
            ModuleNotFoundError: if anywidget is not installed.
        """
        import anywidget
        from traitlets import Dict, Unicode

        class ExplorerWidget(anywidget.AnyWidget):
            _esm = self.source
            data = Dict().tag(sync=True)
            label = Unicode().tag(sync=True)
            selection = Dict().tag(sync=True)

            def __repr__(self) -> str:
                return f"ExplorerWidget({self.label!r})"

        return ExplorerWidget(data=json.loads(self._json), label=self.label)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle: dict[str, Any] = {}
        metadata: dict[str, Any] = {}
        if in_live_kernel():
            with suppress(ModuleNotFoundError):  # without anywidget the twin does all but talk to Python
                bundle, metadata = self.widget._repr_mimebundle_()
        bundle = {**bundle, "text/plain": repr(self), "text/html": self.html}
        if self.picture is not None:
            bundle["image/png"] = base64.b64encode(self.picture).decode("ascii")
        return bundle, metadata


# How an explorer's module takes up what explorers share. A page can load no second file, so the text of that file
# takes the place of this line; a name that both define is then an error when the module loads.
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.mjs";$', flags=re.M)


def _text(module: str) -> str:
    """Return the text of an ES module of this package."""
    return files("tutorlib.show").joinpath(f"{module}.mjs").read_text(encoding="utf-8")


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


# The model of a live widget, as far as a module may use it, over a plain object. A page may show the same
# explorer twice, so each run takes, at once, every box with this content that is not yet taken.
_HOST = """
const boxes = [...document.querySelectorAll('[data-explorer="%(key)s"]:not([data-taken])')];
for (const box of boxes) box.dataset.taken = "";
for (const box of boxes) {
  const { module, ...state } = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const listeners = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      state[name] = value;
      (listeners["change:" + name] ?? []).forEach((call) => call());
    },
    on: (event, call) => { (listeners[event] ??= []).push(call); },
    off: (event, call) => { listeners[event] = (listeners[event] ?? []).filter((other) => other !== call); },
    save_changes() {},
    send() {},
  };
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  URL.revokeObjectURL(url);
  const el = document.createElement("div");
  box.append(el);
  await widget.initialize?.({ model });
  await widget.render({ model, el });
  box.querySelector(".fallback").remove();
}
"""

# In dark mode the book's theme puts a light panel behind every HTML output; an explorer is dark by itself.
_PANEL = ".text_html:has(> .tutorlib-explorer){background:none!important;padding:0!important}"


@checked()
def twin(source: str, data: str, label: str, picture: bytes | None = None) -> str:
    """Return the HTML of a static explorer: the module's ``source``, its ``data`` as JSON text, and the host.

    Until the module has drawn itself, and where scripts do not run, the box shows the picture or, if that is
    missing or large, a sentence. This is plain content and not ``<noscript>``, which stays hidden in
    viewers that run scripts but strip them from notebooks.
    """
    if picture is not None and len(picture) <= MAX_INLINE_PICTURE_BYTES:
        encoded = base64.b64encode(picture).decode("ascii")
        fallback = f'<img class="fallback" alt="{html.escape(label)}" src="data:image/png;base64,{encoded}">'
    else:
        sentence = f"{html.escape(label)} (Interactive figure: it needs a browser that runs scripts.)"
        fallback = f'<p class="fallback">{sentence}</p>'
    module, name = (json.dumps(text, ensure_ascii=False) for text in (source, label))
    state = f'{{"module":{module},"label":{name},"data":{data},"selection":{{}}}}'
    # No "<" is left in the script, so neither "</script" nor "<!--" in the module or the data can end it.
    state = state.replace("<", "\\u003c")
    key = hashlib.sha256((state + fallback).encode()).hexdigest()[:12]
    return (
        f'<div class="tutorlib-explorer" data-explorer="{key}">\n<style>{_PANEL}</style>\n{fallback}\n'
        f'<script type="application/json">{state}</script>\n</div>\n'
        f'<script type="module">{_HOST % {"key": key}}</script>\n'
    )


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


@checked(least={"digits": 1}, most={"digits": 17})
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
