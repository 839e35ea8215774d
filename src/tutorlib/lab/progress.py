"""Progress: a bar with the time left on a terminal, plain lines elsewhere, nothing in a notebook's stored output."""

import sys
import time
from typing import Protocol, TextIO

from tqdm import tqdm


class Progress(Protocol):
    """What a run tells about itself."""

    def start(self, total: int, what: str) -> None:
        """Say that ``total`` units of ``what`` begin."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Say that ``n`` more units are done."""

    def close(self) -> None:
        """Say that it is over."""


class Silent:
    """Progress that says nothing."""

    def start(self, total: int, what: str) -> None:
        """Ignore it."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Ignore it."""

    def close(self) -> None:
        """Ignore it."""


class Bar:
    """A tqdm bar with the time left."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.bar: tqdm | None = None

    def start(self, total: int, what: str) -> None:
        """Draw an empty bar."""
        self.close()
        self.bar = tqdm(total=total, desc=what, file=self.stream, dynamic_ncols=True)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Fill the bar by ``n``."""
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Lines:
    """A plain line each time another tenth is done, and at most one a second."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.total = self.done = self.told = 0
        self.what = ""
        self.begun = self.last = 0.0

    def start(self, total: int, what: str) -> None:
        """Remember what is to be counted."""
        self.total, self.what, self.done, self.told = total, what, 0, 0
        self.begun = self.last = time.monotonic()

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count, and print a line when it is due."""
        self.done += n
        now = time.monotonic()
        tenth = 10 * self.done // max(self.total, 1)
        finished = self.done >= self.total
        if finished or (tenth > self.told and now - self.last >= 1.0):
            self.told, self.last = tenth, now
            left = (now - self.begun) / self.done * (self.total - self.done)
            tail = f"; {note}" if note else ""
            print(f"{self.what}: {self.done}/{self.total}, {left:.0f} s left{tail}", file=self.stream, flush=True)

    def close(self) -> None:
        """Print nothing more."""


def progress_for(stream: TextIO | None = None) -> Progress:
    """Return a bar if ``stream`` (standard error by default) is a terminal, plain lines if not."""
    stream = stream or sys.stderr
    return Bar(stream) if stream.isatty() else Lines(stream)
