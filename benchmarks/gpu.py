"""What a machine with a GPU is asked for, within 10 minutes: tests, every benchmark, and studies as far as they come.

    python benchmarks/gpu.py    (or make gpu)

Each command has its seconds, and is ended after them; a study that is ended goes on with the same command, its records
so far lie in ``results``. The exit code is 1 if a test or a benchmark failed.
"""

import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
SECONDS = 600
COMMANDS = (
    (75, "pytest -m gpu -q"),
    (60, "networks.py --device cuda --rounds 2"),
    (60, "grid.py --device cuda --rounds 2 --compile"),
    (30, "envs.py --device cuda --rounds 2"),
    (75, "agents.py --device cuda --rounds 2 --compile"),
    (60, "sweep.py --device cuda --rounds 2"),
    (120, "tutorlib run rcgvf.lock --tier study --device cuda"),
    (120, "tutorlib run gpicl.phases --tier study --device cuda"),
)
"""seconds, and a test run, a benchmark of this folder or a study"""


def words(command: str) -> list[str]:
    """Return the command as this Python runs it."""
    first, *rest = command.split()
    if first.endswith(".py"):
        return [sys.executable, str(HERE / first), *rest]
    return [sys.executable, "-m", "tutorlib.cli" if first == "tutorlib" else first, *rest]


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA device is here: expected a machine with one, and a torch that can use it", file=sys.stderr)
        return 2
    failed = []
    for seconds, command in COMMANDS:
        print(f"\n{command}", flush=True)
        try:
            code = subprocess.run(words(command), cwd=HERE.parent, timeout=seconds, check=False).returncode
            failed += [command] if code else []
        except subprocess.TimeoutExpired:
            print(f"ended after {seconds} s")
    print(*(f"failed: {command}" for command in failed), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
