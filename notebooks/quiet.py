"""A plugin of pytest for the comparison of notebooks: a cell that writes to standard error fails, compared or not."""

from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Generator[None, None, None]:
    """Look through what the cell printed, once it ran; nbval itself compares only marked cells."""
    yield
    said = [
        output.text
        for output in getattr(item, "test_outputs", [])
        if output.get("name") == "stderr"
    ]
    assert not said, f"wrote to standard error:\n{''.join(said)}"
