"""What the notebooks check can fail: no check of a constant, of a thing against itself, or of a number just set.

Only the crudest cases can be found without running anything.
"""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from pairs import PAIRS, make

PLAIN = {"abs", "bool", "float", "int", "len", "max", "min", "range", "round", "sorted", "sum", "math", "np", "torch"}
"""Names that may stand in a constant expression: they bring no number from elsewhere."""
RANDOM = {"rand", "randn", "randint", "randperm", "normal"}
GROWS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
"""What a name may be set to and filled later."""
EQUAL = {"equal", "allclose", "isclose", "array_equal"}
"""Functions that compare their first two arguments."""


def source(text: Path) -> str:
    """Return all code of a notebook."""
    return "\n".join(cell.source for cell in make.code_cells(make.from_text(text)))


def assigned(tree: ast.AST) -> dict[str, ast.expr | None]:
    """Return what each name is set to, or None if that is done twice, in a loop, by unpacking, or in an argument."""
    found: dict[str, ast.expr | None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            found[name] = None if name in found else node.value
            node.targets[0].ctx = ast.Load()  # seen
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
        if isinstance(node, ast.arg):
            found[node.arg] = None
    return found


def constant(node: ast.expr, names: dict[str, ast.expr | None], depth: int = 8) -> bool:
    """Return whether ``node`` is made of literals alone, and of names that are."""
    if depth == 0:
        return False
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and part.attr in RANDOM:
            return False
        if isinstance(part, ast.Name) and part.id not in PLAIN:
            value = names.get(part.id)
            if value is None or isinstance(value, GROWS) or not constant(value, names, depth - 1):
                return False
    return True


def same(one: ast.expr, other: ast.expr) -> bool:
    return ast.dump(one) == ast.dump(other)


def built_in_so_many(node: ast.expr, names: dict[str, ast.expr | None]) -> bool:
    """Return whether ``node`` is ``len`` of a comprehension that takes all of a literal range or sequence."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args):
        return False
    value: ast.expr | None = node.args[0]
    if isinstance(value, ast.Name):
        value = names.get(value.id)
    if not isinstance(value, ast.ListComp | ast.DictComp):
        return False
    return all(not loop.ifs and constant(loop.iter, names) for loop in value.generators)


def vacuous(holds: ast.expr, names: dict[str, ast.expr | None]) -> str | None:
    """Return why ``holds`` cannot be false, or None."""
    if constant(holds, names):
        return "it is a constant"
    for node in ast.walk(holds):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(same(a, b) for a, b in pairwise(sides)):
                return "both sides are the same"
            if any(isinstance(op, ast.Eq) for op in node.ops) and any(built_in_so_many(s, names) for s in sides):
                return "it was built with so many entries"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in EQUAL:
            sides = [*([] if isinstance(node.func.value, ast.Name) else [node.func.value]), *node.args][:2]
            if len(sides) == 2 and same(*sides):
                return "both sides are the same"
    return None


def found(code: str) -> Iterator[str]:
    """Yield each check of ``code`` that cannot fail, and why."""
    tree = ast.parse(code)
    names = assigned(tree)
    for node in ast.walk(tree):
        holds = None
        if isinstance(node, ast.Assert):
            holds = node.test
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"check", "near"}:
            holds = node.args[1]
        if holds is not None and (why := vacuous(holds, names)):
            yield f"{ast.unparse(node)}: {why}"


@pytest.mark.parametrize("name", PAIRS)
def test_no_check_of_a_notebook_is_bound_to_hold(name: str) -> None:
    assert list(found(source(PAIRS[name]))) == []


@pytest.mark.parametrize(
    "code",
    [
        "check('so it is', True)",
        "assert 1 < 2",
        "near('regret', 20 * 0.25, 5, 0.01)",
        "PRESSES = 20\nHALF = PRESSES / 2\nnear('regret', HALF * 0.5, 5, 0.01)",
        "near('the root', math.sqrt(2), 1.41, 0.01)",
        "check('equal', x.mean() == x.mean())",
        "check('ordered', 0 < y and a[0] <= a[0])",
        "check('equal', torch.equal(x, x))",
        "runs = {(a, b): f(a, b) for a in range(2) for b in ('x', 'y')}\ncheck('four', len(runs) == 4)",
        "check('three', len([f(k) for k in (1, 2, 3)]) == 3 and True)",
    ],
)
def test_a_check_that_is_bound_to_hold_is_found(code: str) -> None:
    assert len(list(found(code))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "check('so it is', x > 0)",
        "N = 3\ncheck('the count', f(N) == 3)",
        "N = 3\nN = N + f()\ncheck('the count', N == 3)",
        "for n in (3, 4):\n    check('small', n < g(n))",
        "def small(n):\n    assert n < 3",
        "check('equal', torch.equal(x, y) and x.equal(y))",
        "check('equal', x.mean(0) == x.mean(1))",
        "runs = [r for r in range(9) if f(r)]\ncheck('four', len(runs) == 4)",
        "check('three', len({f(k) for k in range(9)}) == 3)",
        "near('a mean', torch.randn(9).mean(), 0, 1)",
        "kept = []\nkept.append(f())\ncheck('large', max(kept) > 3)",
    ],
)
def test_a_check_that_can_fail_is_left_alone(code: str) -> None:
    assert list(found(code)) == []
