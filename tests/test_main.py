"""What stands around the command line: signals while it is imported."""

import signal

import pytest

from tutorlib import __main__, cli


def test_after_the_import_signals_do_what_they_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or Ctrl-C in the middle of a sweep would say that nothing had begun."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    found = []
    monkeypatch.setattr(cli, "main", lambda: found.extend(signal.getsignal(number) for number in numbers) or 0)
    try:
        assert __main__.main() == 0
        assert found == before
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
