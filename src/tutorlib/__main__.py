"""What ``tutorlib`` and ``python -m tutorlib`` run: the command line, and an interruption while it is imported."""

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Import the command line, which takes seconds, and run it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        # Not as an exception: libraries that are being imported would take it for a fault of theirs.
        signal.signal(number, _leave)
    from tutorlib import cli

    for number, handler in before.items():
        signal.signal(number, handler)
    return cli.main()


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: nothing has begun."""
    os.write(2, b"tutorlib: interrupted before anything had begun\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
