"""Progress: a bar with the time left on a terminal, plain lines elsewhere, nothing where it would be stored."""

import sys
import time
from typing import Protocol, runtime_checkable

from tqdm import tqdm

from tutorlib.lab.errors import checked


@runtime_checkable
class Stream(Protocol):
    """Where text goes: a terminal, a file, or what stands for one."""

    def write(self, text: str, /) -> object:
        """Take ``text``."""

    def flush(self) -> object:
        """Pass on what was taken."""

    def isatty(self) -> bool:
        """Return whether it is a terminal."""


@runtime_checkable
class Progress(Protocol):
    """What a run tells about itself."""

    def start(self, total: int, what: str, done: int = 0) -> None:
        """Say that ``total`` units of ``what`` begin, of which ``done`` were done before."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Say that ``n`` more units are done."""

    def close(self) -> None:
        """Say that it is over."""

    def inner(self) -> "Progress":
        """Return the progress of the steps within one unit."""


class Silent:
    """Progress that says nothing."""

    def start(self, total: int, what: str, done: int = 0) -> None:
        """Ignore it."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Ignore it."""

    def close(self) -> None:
        """Ignore it."""

    def inner(self) -> "Silent":
        """Return one that says nothing either."""
        return self


class Bar:
    """A tqdm bar with the time left; an inner one goes away when it is full."""

    def __init__(self, stream: Stream, leave: bool = True) -> None:
        self.stream = stream
        self.leave = leave
        self.bar: tqdm | None = None

    def start(self, total: int, what: str, done: int = 0) -> None:
        """Draw a bar on which ``done`` units are filled, and none of them counts as speed."""
        self.close()
        self.bar = tqdm(total=total, initial=done, desc=what, file=self.stream, leave=self.leave, dynamic_ncols=True)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Fill the bar by ``n``."""
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(n)

    def close(self) -> None:
        """Leave the bar as it is, or remove an inner one."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def inner(self) -> "Bar":
        """Return a bar that is drawn below this one."""
        return Bar(self.stream, leave=False)


class Lines:
    """A plain line each time another tenth is done, at most one in ``every`` seconds, and one at the end."""

    def __init__(self, stream: Stream, every: float = 1.0, last: bool = True) -> None:
        self.stream, self.every, self.last = stream, every, last
        self.total = self.before = self.done = self.tenth = 0
        self.what = ""
        self.begun = self.printed = 0.0

    def start(self, total: int, what: str, done: int = 0) -> None:
        """Remember what is to be counted; print a line if some of it was done before."""
        self.total, self.what, self.before, self.done = total, what, done, done
        self.tenth = self._tenth()
        self.begun = self.printed = time.monotonic()
        if done:
            self._print("done before")

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count, and print a line when it is due."""
        self.done += n
        now = time.monotonic()
        finished = self.last and self.done >= self.total
        if finished or (self._tenth() > self.tenth and now - self.printed >= self.every):
            self.tenth, self.printed = self._tenth(), now
            left = (now - self.begun) / max(self.done - self.before, 1) * (self.total - self.done)
            self._print(f"{left:.0f} s left", note)

    def close(self) -> None:
        """Print nothing more."""

    def inner(self) -> "Lines":
        """Return lines for the steps of a long unit: one in ten seconds at most, and none at its end."""
        return Lines(self.stream, every=10.0, last=False)

    def _tenth(self) -> int:
        return 10 * self.done // max(self.total, 1)

    def _print(self, *parts: str) -> None:
        tail = "; ".join(part for part in parts if part)
        print(f"{self.what}: {self.done}/{self.total}, {tail}", file=self.stream, flush=True)


@checked()
def progress_for(stream: Stream | None = None) -> Progress:
    """Return a bar if ``stream`` (standard error by default) is a terminal, plain lines if not."""
    stream = stream or sys.stderr
    return Bar(stream) if stream.isatty() else Lines(stream)
