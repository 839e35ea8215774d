"""Make the executed notebooks from their text, and hold the two against each other.

Each notebook is a pair: ``<slug>/<name>.md`` (MyST, what people edit) and ``<slug>/<name>.ipynb``
(executed, what readers and Colab open). Everything goes one way, from the text to the notebook; no time
stamp of a file is believed.

    python notebooks/make.py [PAIR ...]            execute and store (PAIR: gpicl, or gpicl/method)
    python notebooks/make.py --check [PAIR ...]    is every stored notebook the one that its text says?
    python notebooks/make.py --verify [PAIR ...]   run again; marked outputs must equal the stored ones
    python notebooks/make.py --tidy [PAIR ...]     write each text as a save in Jupyter would: options in its order
"""

import argparse
import base64
import copy
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupytext.config import load_jupytext_config
from nbclient import NotebookClient
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)
from nbformat import NotebookNode

from tutorlib.lab.device import device_name, pick_device
from tutorlib.show.style import in_palette

FOLDER = Path(__file__).resolve().parent
CHECKED = "nbval-check-output"
TWO = ("-n", "2", "--dist", "loadscope", "--no-loadscope-reorder")
"""Two notebooks at once, begun in the order given, not by their numbers of cells."""
CELL_TIMEOUT = 900
"""Seconds that one cell may take: the live tier's minute, with room for a machine that is slow or busy."""

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TUTORLIB_DEVICE": "cpu",
    "TUTORLIB_EXPLORER": "static",
    "TUTORLIB_TIER": "live",
}
"""What a notebook runs in where its outputs are stored or compared, in place of any TUTORLIB_ variable."""

NOTEBOOK_METADATA = {
    "accelerator": "GPU",  # Colab then offers a GPU runtime
    "colab": {"toc_visible": True},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib")
"""Those whose versions can change what a notebook prints or draws."""

WIDGETS = (
    "application/vnd.jupyter.widget-view+json",
    "application/vnd.jupyter.widget-state+json",
)


class NotebookError(Exception):
    """A notebook that cannot be stored, in one sentence for the person who edits it."""


def pairs(folder: Path = FOLDER, only: Sequence[str] = ()) -> dict[str, Path]:
    """Return the text of each pair in ``folder`` by name (``gpicl/method``), or of those that ``only`` names.

    Raises ``NotebookError`` if there is none, if ``only`` names none, or if a notebook has no text.
    """
    texts = {
        str(p.relative_to(folder).with_suffix("")): p
        for p in sorted(folder.glob("*/*.md"))
    }
    if not texts:
        raise NotebookError(
            "notebooks: expected at least one pair <slug>/<name>.md, found none"
        )
    for notebook in sorted(folder.glob("**/*.ipynb")):
        name = str(notebook.relative_to(folder).with_suffix(""))
        if name not in texts and ".ipynb_checkpoints" not in name:
            raise NotebookError(
                f"{name}.ipynb: expected its text {name}.md beside it, which is what people edit"
            )
    for wanted in only:
        if not any(wanted in (name, name.split("/")[0]) for name in texts):
            raise NotebookError(
                f"{wanted}: expected one of {', '.join(texts)}, or the folder of one"
            )
    return {
        n: p
        for n, p in texts.items()
        if not only or n in only or n.split("/")[0] in only
    }


def from_text(text: Path) -> NotebookNode:
    """Return the notebook that ``text`` says, not executed, with the metadata that all our notebooks have."""
    source = text.read_text(encoding="utf-8")
    if "format_name: myst" not in source.partition("\n---\n")[0]:
        raise NotebookError(
            f"{text.name}: expected a jupytext header with format_name: myst"
        )
    notebook = jupytext.reads(source, fmt="md:myst")
    notebook.metadata = nbformat.from_dict(copy.deepcopy(NOTEBOOK_METADATA))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        # From the content, so that an inserted cell renames no other.
        identity = hashlib.sha256(
            f"{cell.cell_type}\n{cell.source}".encode()
        ).hexdigest()[:12]
        seen[identity] = seen.get(identity, 0) + 1
        cell.id = identity if seen[identity] == 1 else f"{identity}-{seen[identity]}"
    return notebook


def saved(text: Path) -> str:
    """Return what jupytext makes of ``text`` when its pair is saved in Jupyter: the same, with options in its order."""
    config = load_jupytext_config(str(text))
    # Writing a notebook sorts the options of each cell.
    notebook = nbformat.reads(nbformat.writes(from_text(text)), as_version=4)
    return str(jupytext.writes(notebook, fmt="md:myst", config=config))


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that are executed."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of ``cell``."""
    return list(cell.metadata.get("tags", []))


def fingerprint(notebook: NotebookNode) -> str:
    """Return a hash of what is executed and how it is compared: the sources and tags of the code cells."""
    content = json.dumps([[cell.source, tags(cell)] for cell in code_cells(notebook)])
    return hashlib.sha256(content.encode()).hexdigest()


def drift(text: Path) -> str | None:
    """Return where the stored notebook differs from ``text``, as a sentence, or None if they agree."""
    stored_path = text.with_suffix(".ipynb")
    name = f"{text.parent.name}/{stored_path.name}"
    if not stored_path.exists():
        return f"{name}: there is no such notebook yet"
    stored, said = nbformat.read(stored_path, as_version=4), from_text(text)
    for index, (old, new) in enumerate(
        zip(stored.cells, said.cells, strict=False), start=1
    ):
        for what in ("cell_type", "source", "metadata", "id"):
            if old.get(what) != new.get(what):
                line = (old.source.splitlines() or [""])[0]
                return f"{name}: cell {index} ({line!r}) has another {what} than in {text.name}"
    if len(stored.cells) != len(said.cells):
        return (
            f"{name}: has {len(stored.cells)} cells, {text.name} has {len(said.cells)}"
        )
    if stored.metadata != said.metadata:
        return f"{name}: has other notebook metadata than notebooks/make.py writes"
    return None


def kernel(python: str) -> dict[str, Any]:
    """Return the specification of a kernel that the interpreter ``python`` runs."""
    launch = "-m ipykernel_launcher -f {connection_file} --log-level=ERROR"
    return {
        "argv": [python, *launch.split()],
        "display_name": "Python 3",
        "language": "python",
    }


class _OneKernel(KernelSpecManager):
    """Knows one kernel, that of the interpreter ``python``, whatever else is installed under its name."""

    python = sys.executable

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(**kernel(self.python))


def environment() -> dict[str, str]:
    """Return the variables for a notebook whose outputs are stored or compared."""
    foreign = ("TUTORLIB_", "PYTEST_", "MPLBACKEND")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign)
    }
    return kept | ENVIRONMENT


def execute(
    notebook: NotebookNode,
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
    timeout: int = CELL_TIMEOUT,
) -> None:
    """Run ``notebook`` top to bottom in ``folder``, in place, with the kernel of the interpreter ``python``.

    Raises ``NotebookError`` at the first cell that fails, takes longer than ``timeout`` seconds, or writes to
    standard error.
    """
    specs = _OneKernel()
    specs.python = python
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout=timeout,
        startup_timeout=120,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute(cleanup_kc=True, env=dict(environment() if env is None else env))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise NotebookError(
            re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        ) from error  # without colours
    for index, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                raise NotebookError(
                    f"code cell {index} wrote to standard error:\n{output.text}"
                )
            if output.output_type == "error":
                raise NotebookError(
                    f"code cell {index} failed: {output.ename}: {output.evalue}"
                )


def normalise(notebook: NotebookNode, said: NotebookNode) -> None:
    """Take out of the executed ``notebook`` what is neither in ``said`` nor a result that a reader sees.

    Pictures get a palette, so that a page stays light.
    """
    notebook.metadata = copy.deepcopy(said.metadata)
    for cell, original in zip(notebook.cells, said.cells, strict=True):
        cell.metadata = copy.deepcopy(original.metadata)
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            if "data" in output:
                output.data = {
                    mime: _light(value) if mime == "image/png" else value
                    for mime, value in output.data.items()
                    if mime not in WIDGETS
                }
                if not output.data:
                    continue
            kept.append(output)
        cell.outputs = kept


def _light(picture: str) -> str:
    return base64.b64encode(in_palette(base64.b64decode(picture))).decode()


def processor_seconds() -> float:
    """Return how long processors have worked for the processes of this one that have ended, such as kernels."""
    times = os.times()
    return times.children_user + times.children_system


def make(text: Path) -> dict[str, Any]:
    """Execute ``text``, store the notebook beside it, and return its entry of ``status.json``.

    Raises ``NotebookError`` if it cannot be executed; the stored notebook then stays as it was.
    """
    said = from_text(text)
    notebook = copy.deepcopy(said)
    # What a clock says depends on what else the machine does. It serves where processes are not counted (Windows).
    worked, clock = processor_seconds(), time.perf_counter()
    execute(notebook, text.parent)
    seconds = round((processor_seconds() - worked) or (time.perf_counter() - clock), 1)
    normalise(notebook, said)
    nbformat.validate(notebook)
    write(text.with_suffix(".ipynb"), nbformat.writes(notebook).rstrip("\n") + "\n")
    cells = code_cells(notebook)
    checked = sum(CHECKED in tags(cell) for cell in cells)
    return {
        "seconds": seconds,
        "cells": len(cells),
        "checked": checked,
        "passed": True,
        "sha256": fingerprint(notebook),
    }


def write(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file or the new one, whole."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(content, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def setting() -> dict[str, Any]:
    """Return what the notebooks were executed with, for the status page."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "device": device_name(pick_device("cpu")),
    }


def read_status(folder: Path) -> dict[str, Any]:
    """Return the status of all stored notebooks, empty if there is none."""
    path = folder / "status.json"
    return (
        json.loads(path.read_text(encoding="utf-8"))
        if path.exists()
        else {"notebooks": {}}
    )


def record(folder: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Put ``entry`` into ``status.json``, and take those out that have no notebook any more."""
    entries = read_status(folder)["notebooks"] | {name: entry}
    known = pairs(folder)
    kept = {name: entries[name] for name in sorted(entries) if name in known}
    content = {**setting(), "notebooks": kept}
    write(
        folder / "status.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    )


def run(folder: Path, only: Sequence[str] = ()) -> list[str]:
    """Execute and store the pairs that ``only`` names (all, if none), and return what went wrong with each.

    Raises ``NotebookError`` if only some are named and the others were executed with other versions: the
    status page has one line for all.
    """
    chosen = pairs(folder, only)
    before = read_status(folder)
    others = [
        name
        for name in before["notebooks"]
        if name not in chosen and name in pairs(folder)
    ]
    for what, now in setting().items():
        if others and before.get(what) != now:
            raise NotebookError(
                f"status.json: {what} was {before.get(what)} when {', '.join(others)} was executed, "
                f"and is {now} now: execute all notebooks"
            )
    failures = []
    for name, text in chosen.items():
        print(f"{name} ...", end=" ", flush=True)
        try:
            entry = make(text)
        except NotebookError as error:
            failures.append(f"{name}: {error}")
            print("FAILED")
        else:
            record(folder, name, entry)
            print(
                f"{entry['seconds']} s, {entry['checked']} of {entry['cells']} code cells are compared"
            )
    return failures


def longest_first(notebooks: Sequence[Path]) -> list[Path]:
    """Return ``notebooks`` in the order in which two processes are done soonest, by what each took when it was made."""
    entries = read_status(FOLDER)["notebooks"]

    def seconds(path: Path) -> float:
        entry = entries.get(f"{path.parent.name}/{path.stem}", {})
        return float(entry.get("seconds", 0.0))

    return sorted(notebooks, key=seconds, reverse=True)


def verify(
    notebooks: Sequence[Path],
    options: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
    **settings: Any,
) -> subprocess.CompletedProcess[str]:
    """Run ``notebooks`` again with nbval, which compares the outputs of the cells tagged for it.

    Their kernels are those of the interpreter ``python``. A cell that writes to standard error fails, too.
    """
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--nbval-lax"]
    command += ["--nbval-kernel-name=chosen", "--nbval-kernel-startup-timeout=120"]
    command += [
        f"--nbval-cell-timeout={CELL_TIMEOUT}",
        f"--timeout={CELL_TIMEOUT + 60}",
        f"--nbval-sanitize-with={FOLDER / 'measured.cfg'}",
    ]
    command += ["-p", "no:python", "-p", "no:cacheprovider", "-p", "notebooks.quiet"]
    command += [*options, *map(str, notebooks)]
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "kernels" / "chosen" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps(kernel(python)), encoding="utf-8")
        variables = dict(environment() if env is None else env)
        return subprocess.run(
            command,
            cwd=FOLDER.parent,
            env=variables | {"JUPYTER_PATH": folder},
            text=True,
            check=False,
            **settings,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 after a sentence on standard error for each thing amiss."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--check",
        action="store_true",
        help="compare each stored notebook with its text",
    )
    action.add_argument(
        "--verify",
        action="store_true",
        help="run again and compare marked outputs (nbval)",
    )
    action.add_argument(
        "--tidy",
        action="store_true",
        help="write each text as a save in Jupyter would",
    )
    parser.add_argument(
        "only",
        nargs="*",
        metavar="PAIR",
        help="gpicl/method, or gpicl for all its notebooks",
    )
    options = parser.parse_args(arguments)
    try:
        chosen = pairs(FOLDER, options.only)
        if options.verify:
            stored = [text.with_suffix(".ipynb") for text in chosen.values()]
            return verify(
                longest_first(stored), ["-q", *TWO, "--durations=5"]
            ).returncode
        if options.tidy:
            for text in chosen.values():
                write(text, saved(text))
            return 0
        failures = (
            [sentence for text in chosen.values() if (sentence := drift(text))]
            if options.check
            else None
        )
        if failures is None:
            failures = run(FOLDER, options.only)
        elif failures:
            failures.append("Run `make notebooks` after each change of a text.")
    except NotebookError as error:
        failures = [str(error)]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
