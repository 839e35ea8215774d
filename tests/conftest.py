"""Fixtures that every part of the tests may use."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TESTS = Path(__file__).parent
SHARED = TESTS.parents[1] / "shared" / "data"
GOLDEN = TESTS / "golden"

TRACED_ELSEWHERE = ("book/*", "papers/test_*.py", "papers/*/test_device.py", "test_no_waiting.py")
"""Tests whose lines of the library are counted by other tests as well.

A tracer is called for each line of every package. It doubles the time of what goes through PyTorch's Python code for
each operation, as fake tensors do, and of reading pages.
"""

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests marked ``gpu`` where there is no CUDA device, and say which run without a tracer.

    Nothing is ever skipped.
    """
    for item in items:
        if any(item.path.relative_to(TESTS).match(pattern) for pattern in TRACED_ELSEWHERE):
            item.add_marker("no_cover")
    if torch.cuda.is_available():
        return
    without = [item for item in items if item.get_closest_marker("gpu")]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A headless Chromium, the system's or else playwright's; an error, never a skip, if there is none.

    One browser per module and not per session: playwright keeps an event loop running while it is in use, and
    in that time nothing else in this process could call ``asyncio.run``, as tests of notebooks do.
    """
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def real_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loaders find the real files: ``TUTORLIB_DATA`` if set, else the folder beside the repository.

    Where neither is there the loaders download them, so without a network the tests fail: they are never
    skipped.
    """
    if not os.environ.get("TUTORLIB_DATA") and SHARED.is_dir():
        monkeypatch.setenv("TUTORLIB_DATA", str(SHARED))


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """What a paper's own code computes: ``golden("rl/mbrl_er")`` gives the arrays of that file by name."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return read
