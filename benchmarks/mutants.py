"""Which small changes of a package its own tests notice: mutation testing, with the mutants of cosmic-ray.

python benchmarks/mutants.py rl                   every mutant of tutorlib.rl, against tests/rl
python benchmarks/mutants.py lab --sample 100     100 of them, drawn with a fixed seed; gpicl is tutorlib.papers.gpicl

Mutants change a copy of the tree. The tests of each run in a process that was forked from this one, where torch and
pytest are imported already, and stop at the first failure. Those of the module's own name come first, without the check
of all shapes, whose making takes seconds: all tests are run with it if these find nothing. Where all take many minutes
(``NEAR``), they are those that import the module: others may notice what these miss. Linux or macOS.
Left out are mutants that say little: operators of bits, which no tensor of floats has and which `|` in annotations is;
powers, remainders and whole quotients in place of + - * /; and of -x all but x. `make mutants` installs cosmic-ray.
"""

import argparse
import ast
import difflib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

NEAR = ("lab",)
"""packages all of whose tests take many minutes"""
ROOT = Path(__file__).resolve().parent.parent
BITS = "(?:BitOr|BitAnd|BitXor|LShift|RShift)"
LEFT_OUT = rf"Binary\w+_{BITS}_|Binary\w+_(?:{BITS}|Pow|Mod|FloorDiv)$|USub_(?:Invert|Not|UAdd)$"
TESTS = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not serial and not gpu"]
FIRST = ["-o", "addopts=--import-mode=importlib --strict-markers"]
TESTS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins are imported before pytest begins


def folders(only: str) -> tuple[str, str]:
    """Return where the package ``only`` lies in ``src/tutorlib`` and its tests in ``tests``; exit if there is none."""
    source = ROOT / "src" / "tutorlib"
    packages = {
        p.parent.name: p.parent.relative_to(source) for p in source.glob("**/__init__.py") if p.parent != source
    }
    known = sorted(name for name, place in packages.items() if (ROOT / "tests" / place).is_dir() and name != "papers")
    if only not in known:
        sys.exit(f"mutants: ONLY={only}: expected one of {', '.join(known)}")
    return f"src/tutorlib/{packages[only].as_posix()}", f"tests/{packages[only].as_posix()}"


def near(package: str, source: Path, tests: Path) -> dict[str, list[str]]:
    """Return by module of ``package``, at ``source``, the files in ``tests`` that cover it, that of its name first.

    A test covers a module if it imports it, or from the package what the package imports from it. A module that no
    test imports is covered by what covers the modules that import it.
    """
    passed_on = {
        alias.asname or alias.name: str(node.module).removeprefix(f"{package}.")
        for node in ast.walk(ast.parse((source / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    modules = {path.stem: path for path in sorted(source.glob("*.py"))}
    users = {name: {*imported(path, package, passed_on)} for name, path in modules.items()}
    files = {path.name: {*imported(path, package, passed_on)} for path in sorted(tests.glob("test_*.py"))}
    covered = {}
    for module in modules:
        wanted = {module}
        if not any(module in imports for imports in files.values()):
            wanted = {user for user, imports in users.items() if module in imports and user != "__init__"}
        names = [name for name, imports in files.items() if imports & wanted]
        covered[module] = sorted(names, key=lambda name: name != f"test_{module}.py")
    return covered


def imported(path: Path, package: str, passed_on: Mapping[str, str]) -> Iterator[str]:
    """Yield the modules of ``package`` that a file imports, or whose names it imports from the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            yield from (passed_on.get(alias.name, alias.name) for alias in node.names)
        names = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.removeprefix(f"{package}.") for name in names if name.startswith(f"{package}."))


def all_mutants(package: Path) -> list[tuple[Path, str, int]]:
    """Return each mutant of the modules in ``package``: the file, the operator, and which of its places in the file."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.plugins import get_operator, operator_names

    names = [n for n in sorted(operator_names()) if not get_operator(n).arguments() and not re.search(LEFT_OUT, n)]
    mutants = []
    for path in sorted(package.rglob("*.py")):
        nodes = list(ast_nodes(get_ast_from_path(path)))
        for name in names:
            operator = get_operator(name)()
            places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            mutants += [(path, name, place) for place in range(places)]
    return mutants


def run_tests(copy: Path, files: Sequence[str], limit: float, *options: str) -> str:
    """Run the tests in a forked process and return "survived", "killed" or "too slow"."""
    sys.stdout.flush()
    if process := os.fork():
        until = time.monotonic() + limit
        while time.monotonic() < until:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                return "killed" if status else "survived"
            time.sleep(0.02)
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return "too slow"
    os.setsid()  # so that what the tests started ends with them
    os.chdir(copy)
    output = os.open(copy / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.path.insert(0, str(copy / "src"))
    import pytest

    code = 1
    try:
        code = int(pytest.main([*TESTS, *options, *files]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def warm_up() -> None:
    """Import what all tests import, except for this library, which is mutated."""
    import beartype
    import hypothesis
    import jaxtyping
    import nbval.plugin
    import pandas
    import scipy.stats
    import torch._meta_registrations  # the first tensor on "meta" imports seconds of modules

    assert beartype, hypothesis
    assert not [name for name in sys.modules if name.startswith("tutorlib")], "this library is imported already"
    _ = jaxtyping, nbval, pandas, scipy, torch


def main() -> int:
    """Run the command line, print survivors and a row for ``benchmarks/README.md``; 1 if the tests fail unmutated.

    The row: package, mutants, killed, survived, seconds of one core.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("only", metavar="PACKAGE", help="rl, nn, lab, gpicl, ...")
    parser.add_argument("--sample", type=int, metavar="N", help="draw N mutants, instead of all")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    options = parser.parse_args()
    source, tests = folders(options.only)
    from cosmic_ray.mutating import use_mutation
    from cosmic_ray.plugins import get_operator

    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path[:] = [place for place in sys.path if Path(place) != ROOT / "src"]
    warm_up()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        ignored = shutil.ignore_patterns("__pycache__", ".git", ".venv", "_build", ".*_cache", "shared")
        shutil.copytree(ROOT, copy, ignore=ignored, symlinks=True)
        os.environ["PYTHONPATH"] = str(copy / "src")
        every = all_mutants(copy / source)
        chosen = every
        if options.sample and options.sample < len(every):
            chosen = sorted(random.Random(options.seed).sample(every, options.sample))
        files = {path.stem: [tests] for path, *_ in chosen}
        if options.only in NEAR:
            cover = near(source.removeprefix("src/").replace("/", "."), copy / source, copy / tests)
            files = {module: [f"{tests}/{name}" for name in cover[module]] or [tests] for module in files}
        started = time.perf_counter()
        if run_tests(copy, sorted({name for names in files.values() for name in names}), 3600) != "survived":
            print((copy / "output.txt").read_text()[-3000:], file=sys.stderr)
            print(f"mutants: {tests} fail without a mutant", file=sys.stderr)
            return 1
        plain = time.perf_counter() - started
        # From here on nothing compiled is kept: it is told apart by whole seconds, and mutants are faster.
        os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True
        print(f"{len(chosen)} of {len(every)} mutants; the tests take {plain:.0f} s", flush=True)
        for path, name, place in tqdm(chosen, mininterval=10, leave=False):
            first = f"{tests}/test_{path.stem}.py"
            with use_mutation(path, get_operator(name)(), place) as (before, after):
                outcome = run_tests(copy, [first], 30 + 5 * plain, *FIRST) if (copy / first).exists() else "survived"
                if outcome == "survived":
                    outcome = run_tests(copy, files[path.stem], 30 + 5 * plain)
            outcomes[outcome] += 1
            if outcome == "survived":
                show(path.relative_to(copy), name, before, after)
    seconds = sum(os.times()[:4])  # of processors, with those of the processes that have ended
    killed, drawn = outcomes.total() - outcomes["survived"], ""
    if len(chosen) < len(every):
        drawn = f", drawn from {len(every)} with seed {options.seed}"
    print(f"\n{dict(outcomes)}")
    print(f"| `{options.only}` | {len(chosen)}{drawn} | {killed} | {outcomes['survived']} | {seconds:.0f} |")
    return 0


def show(path: Path, name: str, before: str, after: Any) -> None:
    """Print the lines that a surviving mutant changed."""
    changed = difflib.unified_diff(before.splitlines(), (after or "").splitlines(), lineterm="", n=0)
    lines = [line for line in changed if not line.startswith(("---", "+++"))]
    print(f"survived: {path} {name.rpartition('/')[2]}", *lines, sep="\n  ", flush=True)


if __name__ == "__main__":
    sys.exit(main())
