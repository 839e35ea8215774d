"""What every notebook of the book calls: one start, one way to print a number, one way to state a result.

Printed text is compared with a new run in CI, so it must not depend on the last digits of a float. What ``check`` and
``near`` say they measured is shown rounded and is left out of that comparison: the statement itself holds it.
"""

import math
import os
import random
import sys
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch

from tutorlib import __version__
from tutorlib.lab.device import pick_device
from tutorlib.lab.errors import bad_argument, checked
from tutorlib.lab.tiers import pick_tier
from tutorlib.show.faults import faults
from tutorlib.show.style import STYLE

MEASURED = " · measured: "
"""what stands between a statement and the numbers behind it"""
ENTRIES = 8
"""how many entries of a list are shown there"""


@checked(maximum={"seed": 2**32 - 1})
def begin(seed: int = 0) -> torch.Generator:
    """Make the rest of a notebook repeatable, give its figures the book's look, and print where it runs.

    Seeds ``random``, NumPy and torch, takes one thread on a CPU (sums then do not depend on the number of
    cores), and switches off torch's algorithms that do not repeat. The line it prints names version, device
    and tier.

    Returns:
        A generator on the CPU, so that it draws the same for every device; move there what it draws.

    Raises:
        UsageError: if ``TUTORLIB_DEVICE`` or ``TUTORLIB_TIER`` names something that is not there.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts, so before anything else
    device, tier = pick_device(), pick_tier()
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for code that is not ours and draws from the global state
    torch.manual_seed(seed)
    # On a GPU some operations have no repeatable form: a warning there, and not the end of a reader's notebook.
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    if device.type == "cpu":
        torch.set_num_threads(1)
    torch.set_printoptions(precision=3, sci_mode=False)
    np.set_printoptions(precision=3, suppress=True)
    pd.set_option("display.float_format", number)
    mpl.rcParams.update(cast(Any, STYLE))
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):  # a notebook's: figures that are sharp on every screen
        shell.run_line_magic("config", "InlineBackend.figure_format = 'retina'")
        if os.environ.get("TUTORLIB_EXPLORER") == "static":  # its outputs are stored or compared
            after: list[Any] = shell.events.callbacks["post_execute"]
            after.insert(0, complain)  # before what shows the figures, and closes them
    print(f"tutorlib {__version__} · {device.type} · tier {tier}")
    return torch.Generator().manual_seed(seed)


def complain() -> None:
    """Write to standard error, which no stored notebook may do, what is wrong with the figures that are open."""
    if "matplotlib.pyplot" in sys.modules:
        pyplot: Any = sys.modules["matplotlib.pyplot"]
        for fault in [fault for number in pyplot.get_fignums() for fault in faults(pyplot.figure(number))]:
            print(f"figure: {fault}", file=sys.stderr)


def _one(name: str, value: Any) -> Any:
    """Return what stands in ``value``, an array of one entry, or ``value`` itself."""
    if not hasattr(value, "item"):
        return value
    if getattr(value, "size", 1) != 1 and getattr(value, "numel", lambda: 2)() != 1:
        raise bad_argument(name, value, "one entry, not an array of several")
    return value.item()


@checked(minimum={"digits": 1}, maximum={"digits": 17})
def number(value: Any, digits: int = 3) -> str:
    """Return ``value`` as text: whole numbers in full, others rounded to ``digits`` significant digits.

    ``value`` is a number or an array of one: ``0.85`` is ``0.850``, ``123456`` is ``123,456``, ``1234.5`` is
    ``1,230``, ``0.000012`` is ``1.20e-05``.
    """
    plain = _one("value", value)
    if not isinstance(plain, int | float):
        raise bad_argument("value", value, "a number, or an array of one")
    if isinstance(plain, int):
        return f"{plain:,}"
    if plain == 0 or not math.isfinite(plain):
        return f"{abs(plain) if plain == 0 else plain:g}"
    rounded = float(f"{plain:.{digits}g}")
    if 10**digits <= abs(rounded) < 1e6:
        return f"{rounded:,.0f}"
    return f"{rounded:#.{digits}g}".rstrip(".")


@checked()
def check(statement: str, holds: Any, **measured: Any) -> None:
    """Assert a result and print ``PASS: statement``, and what was measured.

    Args:
        statement: the result in words, with its threshold or tolerance.
        holds: whether it does; a bool, or an array of one bool.
        **measured: the numbers behind it, by name: printed rounded, and in full if the statement does not hold.

    Raises:
        AssertionError: if it does not hold; the message has the statement and the numbers in full.
        UsageError: if ``holds`` is not a truth value, such as a number that was not compared with anything.
    """
    verdict = _one("holds", holds)
    if not isinstance(verdict, bool):
        raise bad_argument("holds", holds, "True or False: compare the number with something")
    if not verdict:
        numbers = ", ".join(f"{name}={value}" for name, value in measured.items())
        raise AssertionError(f"does not hold: {statement}" + (f" ({numbers})" if numbers else ""))
    names = {name: "" if len(measured) == 1 and name == "value" else f"{name.replace('_', ' ')} " for name in measured}
    shown = ", ".join(f"{names[name]}{_rounded(value)}" for name, value in measured.items())
    print(f"PASS: {statement}" + (f"{MEASURED}{shown}" if shown else ""))


def _rounded(value: Any) -> str:
    """Return ``value`` as ``number`` writes it, and so the entries of a list or an array, however nested."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, dict):
        return "{" + ", ".join(f"{key}: {_rounded(entry)}" for key, entry in plain.items()) + "}"
    if isinstance(plain, list | tuple | set | range):
        shown = [_rounded(entry) for entry, _ in zip(plain, range(ENTRIES), strict=False)]
        return "[" + ", ".join([*shown, "..."] if len(plain) > ENTRIES else shown) + "]"
    return number(plain) if isinstance(plain, int | float) and not isinstance(plain, bool) else str(plain)


@checked(positive=("tolerance",))
def near(name: str, value: Any, expected: float, tolerance: float) -> None:
    """Assert that ``value`` is ``expected`` ± ``tolerance``, and print so, with the value rounded.

    Raises:
        AssertionError: if it is not, or is not a number; the message has the value in full.
        UsageError: if ``tolerance`` is not a positive number.
    """
    if not isinstance(_one("value", value), int | float):
        raise bad_argument("value", value, "a number, or an array of one")
    check(f"{name} is {expected:g} ± {tolerance:g}", abs(value - expected) <= tolerance, value=value)
