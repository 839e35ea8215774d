"""Build the site: one build at a time, and from the beginning where the last one did not reach its end.

Sphinx keeps what it has read and written in ``_build``. A build that was killed leaves half-written files there,
and one with warnings leaves pages that give no warning again; two builds at once write over each other. So a stamp says
that the folder is whole, and a lock that nobody else is at it. Where this process alone is killed, the one that it
started goes on: wait until that has ended.

    python book/make.py COMMAND ...    run the command that builds, with nothing of a broken build left
"""

import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

ROOT = Path(__file__).resolve().parent.parent


def build(command: list[str], folder: Path, lock: Path) -> int:
    """Run ``command``, which builds into ``folder``, alone; return its exit code.

    ``lock`` lies outside of ``folder``; the system drops it with the process that holds it.
    """
    guard, whole = FileLock(lock), folder / ".whole"
    try:
        guard.acquire(timeout=0)
    except Timeout:
        print("make: another build is at work; this one begins when it has ended", file=sys.stderr, flush=True)
        guard.acquire()
    try:
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
        whole.unlink(missing_ok=True)
        code = subprocess.run(command, cwd=folder.parent).returncode
        if code:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.mkdir(exist_ok=True)
            whole.touch()
        return code
    finally:
        guard.release()


if __name__ == "__main__":
    sys.exit(build(sys.argv[1:], ROOT / "_build", Path(sys.prefix) / ".book.lock"))
