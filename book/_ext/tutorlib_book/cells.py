"""Code cells as a reader wants them: checks as one quiet line that opens, imports and solutions folded under a name."""

import ast
from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

CHECKED = "PASS:"
"""what ``tutorlib.show.notebook.check`` prints before a statement that holds"""
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
FOLDED = {
    "imports": ("Imports", "Hide the imports"),
    "check": ("The code of the check", "Hide the code of the check"),
    "solution": ("The code of the solution", "Hide the code of the solution"),
    "code": ("Code", "Hide the code"),
}
"""names of what is folded: to open it, and to close it"""


def setup(app: Sphinx) -> None:
    app.add_post_transform(QuietCells)


class QuietCells(SphinxPostTransform):
    """Fold what a reader seldom wants, before myst-nb folds what is marked, and gather what was checked."""

    default_priority = 190  # that of myst-nb is 199
    formats = ("html",)

    def run(self, **_: object) -> None:
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") == "cell_code":
                fold(cell)
                for output in list(cell.findall(nodes.literal_block)):
                    if "stream" in output["classes"] or "output" in output["classes"]:
                        gather(output)


def fold(cell: nodes.container) -> None:
    """Name what is folded already, and fold imports and checks."""
    code = cell.children[0] if cell.children else None
    source = code.astext() if isinstance(code, nodes.Element) and code.get("nb_element") == "cell_code_source" else ""
    kind = kind_of(source)
    if cell.get("hide_mode") == "all":
        kind = "solution"
    elif cell.get("hide_mode"):
        kind = kind or "code"
    if kind and source:
        cell["hide_mode"] = cell.get("hide_mode") or "input"
        cell["prompt_show"], cell["prompt_hide"] = FOLDED[kind]


def kind_of(source: str) -> str:
    """Return ``imports`` or ``check`` for a cell of nothing else, and nothing for others."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a line for IPython
        return ""
    if body and all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in body):
        return "imports"
    if "notebook.begin(" in source:
        return "imports"
    return "check" if body and all(is_check(statement) for statement in body) else ""


def is_check(statement: ast.stmt) -> bool:
    """Return whether a statement only calls ``check`` or ``near``, if need be for one thing after the other."""
    if isinstance(statement, ast.For):
        return all(is_check(inside) for inside in statement.body)
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    return isinstance(statement.value.func, ast.Name) and statement.value.func.id in ("check", "near")


def gather(output: nodes.literal_block) -> None:
    """Put what was checked into one line that opens, below what else was printed."""
    lines = output.astext().splitlines()
    checks = [line.removeprefix(CHECKED).strip() for line in lines if line.startswith(CHECKED)]
    if not checks:
        return
    others = [line for line in lines if not line.startswith(CHECKED)]
    number = WORDS[len(checks) - 1] if len(checks) <= len(WORDS) else str(len(checks))
    items = "".join(f"<li>{escape(check)}</li>" for check in checks)
    quiet = nodes.raw(
        "",
        f'<details class="checks"><summary>checked: {number} statement{"s" * (len(checks) > 1)}</summary>'
        f"<ul>{items}</ul></details>",
        format="html",
    )
    if any(line.strip() for line in others):
        rest = output.deepcopy()
        rest.children, rest.rawsource = [nodes.Text("\n".join(others))], "\n".join(others)
        output.replace_self([rest, quiet])
    else:
        output.replace_self(quiet)


__all__ = ["setup"]
