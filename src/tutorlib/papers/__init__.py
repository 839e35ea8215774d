"""The papers. A new one is a new folder beside these and one line here."""

from importlib import import_module
from types import ModuleType

from tutorlib.lab import Claim, Experiment
from tutorlib.lab.errors import choose

PAPERS = ("vsml", "gpicl", "metagenrl", "symla", "rcgvf", "mbrl", "gogepo")


def room(paper: str, name: str) -> ModuleType:
    """Return the room ``name`` (such as ``experiments``) of ``paper``; raise ``UsageError`` for an unknown paper."""
    return import_module(f"tutorlib.papers.{choose('paper', paper, PAPERS)}.{name}")


def experiments() -> dict[str, Experiment]:
    """Return all experiments by name."""
    return {e.name: e for paper in PAPERS for e in room(paper, "experiments").EXPERIMENTS}


def claims() -> list[Claim]:
    """Return the claims of all papers in order."""
    return [claim for paper in PAPERS for claim in room(paper, "claims").CLAIMS]
