"""An environment with the versions of a Colab runtime, from ``colab.txt`` beside this file.

    python tests/book/colab.py                       make it where it is not yet there, and print its interpreter
    python tests/book/colab.py --refresh             take the versions of Colab's published list into colab.txt
    python tests/book/colab.py --refresh FILE PYTHON take those of FILE, for Python PYTHON (3.13)

It is kept in the user's cache, under a name made from the list: 5 GB, most of them the CUDA libraries that torch's
wheel links against, about two minutes the first time and nothing after.
"""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pooch
from filelock import FileLock
from packaging.utils import canonicalize_name

LIST = Path(__file__).with_name("colab.txt")
PUBLISHED = "https://raw.githubusercontent.com/googlecolab/backend-info/main/"
PLACES = (
    "{PYENV_ROOT}/versions/3.*/bin/python3",
    "{HOME}/.pyenv/versions/3.*/bin/python3",
    "{HOME}/.local/share/uv/python/cpython-3.*/bin/python3",
)
"""Where interpreters lie that are not on the path."""


def wanted_python(text: str) -> str:
    """Return the version of Python that the list ``text`` is for, such as 3.13."""
    (version,) = re.findall(r"^# Python (3\.\d+)$", text, re.M)
    return version


def pins(text: str) -> dict[str, str]:
    """Return the versions in ``text``, a list like that of ``pip freeze``, by canonical name, without local parts."""
    found = re.findall(r"^([\w.-]+)(?:==| @ \S*?/[\w.]+-)(\d[\w.!]*)", text, re.M)
    return {canonicalize_name(name): version for name, version in found}


def refreshed(text: str, published: str, python: str) -> str:
    """Return the list ``text`` with the versions that ``published`` has for its names, and for ``python``.

    A name that Colab no longer has goes.
    """
    versions, lines = pins(published), []
    for line in text.splitlines():
        name = line.partition("==")[0]
        if line.startswith("# Python "):
            lines.append(f"# Python {python}")
        elif line.startswith("#"):
            lines.append(line)
        elif version := versions.get(canonicalize_name(name)):
            lines.append(f"{name}=={version}")
    return "\n".join(lines) + "\n"


def _interpreters() -> Iterator[str]:
    """Yield what may be an interpreter, on the path first."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield from sorted(glob.glob(f"{folder}/python3.[0-9][0-9]"))
    variables = {"PYENV_ROOT": "", "HOME": str(Path.home()), **os.environ}
    for place in PLACES:
        yield from sorted(glob.glob(place.format_map(variables)))
    yield sys.executable


def interpreter(version: str) -> tuple[str, str]:
    """Return an interpreter of Python ``version``, or else of the newest one here, and its version in full."""
    found: dict[tuple[int, ...], tuple[str, str]] = {}
    for path in _interpreters():
        asked = [path, "-c", "import ensurepip, venv, platform; print(platform.python_version())"]
        try:
            full = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
        except (OSError, subprocess.SubprocessError):  # a placeholder, or one without what makes environments
            continue
        if re.fullmatch(r"3\.\d+\.\d+", full):
            found.setdefault(tuple(map(int, full.split("."))), (path, full))
    exact = [key for key in found if key[:2] == tuple(map(int, version.split(".")))]
    return found[max(exact or found)]


def environment() -> tuple[Path, str]:
    """Return the interpreter of the environment, made if it is not there yet, and a sentence on its Python."""
    text = LIST.read_text(encoding="utf-8")
    path, full = interpreter(wanted_python(text))
    said = f"Colab's list runs in Python {full}, Colab has {wanted_python(text)}"
    cache = Path(pooch.os_cache("tutorlib"))
    cache.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(f"{full}\n{text}".encode()).hexdigest()[:12]
    folder = cache / f"colab-{key}"
    python = folder / "bin" / "python"
    with FileLock(cache / "colab.lock"):
        if not (folder / ".ready").exists():
            for old in cache.glob("colab-*"):
                shutil.rmtree(old)
            foreign = ("PIP_CONSTRAINT", "PIP_REQUIREMENT", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
            variables = {name: value for name, value in os.environ.items() if name not in foreign}
            pip = [
                python,
                "-m",
                "pip",
                "install",
                "-q",
                "--no-cache-dir",
                "--no-compile",
                "--disable-pip-version-check",
            ]
            subprocess.run([path, "-m", "venv", folder], env=variables, check=True)
            subprocess.run([*pip, "-r", LIST], env=variables, check=True)
            (folder / ".ready").touch()
    return python, said


def main(arguments: list[str]) -> None:
    if arguments[:1] != ["--refresh"]:
        print(*environment(), sep="\n")
        return
    if len(arguments) == 3:
        published, python = Path(arguments[1]).read_text(encoding="utf-8"), arguments[2]
    else:
        published, system = (
            urllib.request.urlopen(PUBLISHED + name, timeout=30).read().decode()
            for name in ("pip-freeze.txt", "os-info.txt")
        )
        (python,) = re.findall(r"^Python (3\.\d+)", system, re.M)
    LIST.write_text(refreshed(LIST.read_text(encoding="utf-8"), published, python), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
