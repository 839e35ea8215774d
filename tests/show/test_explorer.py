import json
import re
import sys
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tutorlib.lab.errors import UsageError
from tutorlib.show import explorer
from tutorlib.show.explorer import MAX_DATA_BYTES, Explorer, classic, module_name, rounded, to_json, twin

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


class Parts(HTMLParser):
    """Collects the scripts and the elements of a piece of HTML as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.seen and self.seen[-1][0] == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.seen.append((f"/{tag}", {}))


def state(html: str) -> dict[str, Any]:
    return json.loads(Parts(html).scripts[0])


def test_the_bundle_is_the_same_every_time(data: dict[str, Any]) -> None:
    bundle, metadata = Explorer("grid_explorer", data, "A map", PNG)._repr_mimebundle_()
    other = dict(reversed(json.loads(json.dumps(data)).items()))  # equal, in another order
    again = Explorer("grid_explorer", other, "A map", PNG)._repr_mimebundle_()
    assert (bundle, metadata) == again
    assert sorted(bundle) == ["image/png", "text/html", "text/plain"]
    assert bundle["text/plain"] == "Explorer('grid_explorer', 'A map')"


def test_every_module_stands_alone() -> None:
    """A page can load no second file, so what the modules share stands in each of them."""
    assert explorer.modules() == [
        "bandit_explorer",
        "curves_explorer",
        "dial_explorer",
        "grid_explorer",
        "guess_explorer",
        "push_explorer",
    ]
    for module in explorer.modules():
        source = Explorer(module, {}, "A figure").source
        assert not re.search(r"^import\b|\bimport\(", source, flags=re.M)
        assert re.findall(r"^export default .*$", source, flags=re.M) == ["export default { render };"]
        assert source.count("function unpack(") == 1


def test_a_classic_script_holds_a_module_without_its_exports() -> None:
    for module in explorer.modules():
        source = Explorer(module, {}, "A figure").source
        script = classic(source)
        assert not re.search(r"^(import|export)\b|\bimport\(", script, flags=re.M)
        assert f'["{module_name(source)}"] = (key, state)' in script
        assert script.count("\nreturn { render };\n") == 1
    assert module_name("a") != module_name("b")


@pytest.mark.parametrize(
    "source",
    ["render();", '\nimport "./parts.mjs";\nexport default { render };', "\nexport default { render };\nmore();"],
)
def test_what_is_no_module_of_that_form_makes_no_classic_script(source: str) -> None:
    with pytest.raises(UsageError, match="an ES module that imports nothing and ends with a default export"):
        classic(source)


MODULE = "\nexport default { render };"


def test_the_key_depends_on_data_module_label_and_picture() -> None:
    def key(*arguments: Any) -> str:
        return re.search(r'data-explorer="(\w+)"', twin(*arguments))[1]

    first = (MODULE, "{}", "l")
    variants = [first, (f"//{MODULE}", "{}", "l"), (MODULE, "[]", "l"), (MODULE, "{}", "k"), (*first, PNG)]
    assert len({key(*variant) for variant in variants}) == len(variants)


def test_nothing_in_data_or_label_ends_the_script() -> None:
    nasty = "</script><!-- <script> \" ' & \u2028 ]]>"
    html = twin(MODULE, to_json({"a": nasty}), f"label {nasty}", PNG)
    parts = Parts(html)
    assert [attrs.get("type") for tag, attrs in parts.seen if tag == "script"] == [
        "application/json",
        "module",
    ]
    got = state(html)
    assert got["data"] == {"a": nasty}
    assert got["label"] == f"label {nasty}"
    assert [attrs["alt"] for tag, attrs in parts.seen if tag == "img"] == [f"label {nasty}"]
    assert "<" not in parts.scripts[0]
    assert parts.scripts[1].startswith(f"\n{classic(MODULE)}tutorlibExplorers")


@pytest.mark.parametrize("ending", ["</script", "</SCRIPT", "<!--"])
def test_nothing_in_a_module_ends_the_script(ending: str) -> None:
    with pytest.raises(UsageError, match=f"source='{ending}': expected a module without this text"):
        twin(f"// {ending}{MODULE}", "{}", "A map")


def test_a_small_picture_is_the_fallback_and_a_large_one_is_not() -> None:
    assert "data:image/png;base64," in twin(MODULE, "{}", "A map", PNG)
    for picture in (None, PNG + bytes(explorer.MAX_INLINE_PICTURE_BYTES)):
        html = twin(MODULE, "{}", "A map", picture)
        assert "<img" not in html
        assert '<p class="fallback">A map (' in html


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": {"b": [1.0, float("nan")]}}, r"data\['a'\]\['b'\]\[1\]=nan: expected a finite number"),
        ({"a": float("inf")}, r"data\['a'\]=inf: expected a finite number"),
        ({"a": {1: 2}}, r"key of data\['a'\]=1: expected a str"),
        ({"a": (1, {2})}, r"data\['a'\]\[1\]=\{2\}: expected a JSON value"),
        ({"a": np.float32(1)}, r"data\['a'\]=.*expected a JSON value"),
        ({"a": "x" * MAX_DATA_BYTES}, r"data is 200,008 bytes as JSON: expected at most 200,000"),
    ],
)
def test_data_that_cannot_be_shown_is_refused(value: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Explorer("grid_explorer", value, "A map")


def test_data_up_to_the_limit_is_taken() -> None:
    assert len(to_json({"a": "x" * (MAX_DATA_BYTES - 8)})) == MAX_DATA_BYTES
    with pytest.raises(UsageError, match="bytes as JSON"):
        to_json({"a": "é" * (MAX_DATA_BYTES // 2)})  # two bytes each


def test_other_arguments_are_checked() -> None:
    with pytest.raises(UsageError, match=r"module='grid_explore'.*did you mean 'grid_explorer'"):
        Explorer("grid_explore", {}, "A map")
    with pytest.raises(UsageError, match="label=' ': expected a sentence"):
        Explorer("grid_explorer", {}, " ")
    with pytest.raises(UsageError, match="picture=b'GIF89a': expected the bytes of a PNG file"):
        Explorer("grid_explorer", {}, "A map", b"GIF89a")


def test_rounded_keeps_significant_digits_and_everything_else() -> None:
    got = rounded({"a": [0.123456, 1234.56, -1e-9], "b": (1, "x", None, True), "c": np.array([0.5, 1 / 3])}, 3)
    assert got == {"a": [0.123, 1230.0, -1e-9], "b": [1, "x", None, True], "c": [0.5, 0.333]}
    assert rounded(np.float32(2 / 3), 4) == 0.6667


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.delenv("TUTORLIB_EXPLORER", raising=False)


@pytest.mark.usefixtures("kernel")
def test_static_leaves_the_widget_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert explorer.in_live_kernel()
    monkeypatch.setenv("TUTORLIB_EXPLORER", "static")
    assert not explorer.in_live_kernel()
    monkeypatch.setenv("TUTORLIB_EXPLORER", "sttic")
    with pytest.raises(UsageError, match=r"TUTORLIB_EXPLORER='sttic'.*did you mean 'static'"):
        explorer.in_live_kernel()


@pytest.mark.usefixtures("kernel")
def test_without_anywidget_the_twin_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    bundle, _ = Explorer("grid_explorer", {}, "A map")._repr_mimebundle_()
    assert sorted(bundle) == ["text/html", "text/plain"]


def test_without_a_kernel_there_is_no_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUTORLIB_EXPLORER", raising=False)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not explorer.in_live_kernel()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not explorer.in_live_kernel()


CELL = """
from tutorlib.show.explorer import Explorer
figure = Explorer("grid_explorer", {"title": "T", "values": [1, None]}, "A map")
print(figure.widget.data, figure.widget.selection, repr(figure.widget))
figure
"""


def run_in_kernel() -> tuple[nbformat.NotebookNode, nbformat.NotebookNode]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    printed, shown = notebook.cells[0].outputs
    assert printed.text == "{'title': 'T', 'values': [1, None]} {} ExplorerWidget('A map')\n"
    widgets = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return shown, widgets.get("state", {})


def test_a_notebook_keeps_the_twin_and_a_live_kernel_has_a_widget_of_the_same_content(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Opened again, a notebook has no model for a widget's view; a front end would say so, and hide the twin."""
    monkeypatch.delenv("TUTORLIB_EXPLORER", raising=False)
    shown, models = run_in_kernel()
    assert sorted(shown.data) == ["text/html", "text/plain"]
    (model,) = (entry["state"] for entry in models.values() if "_esm" in entry["state"])
    twin_state = state(shown.data["text/html"])
    module, host = model["_esm"].split("/**\n * The host")
    assert module.strip() == Explorer("grid_explorer", {}, "A map").source.rpartition("\nexport default")[0].strip()
    assert host.endswith("\nexport default { render, initialize: announce };\n")
    assert f'data-explorer="{model["key"]}"' in shown.data["text/html"]
    assert {name: model[name] for name in ("data", "label", "selection")} == {
        name: twin_state[name] for name in ("data", "label", "selection")
    }
    monkeypatch.setenv("TUTORLIB_EXPLORER", "static")
    static, _ = run_in_kernel()
    assert static.data == shown.data
