"""Streams, configurations and generators that several tests of VSML draw from."""

import torch

from tutorlib.papers.vsml import problem
from tutorlib.papers.vsml.config import Config
from tutorlib.papers.vsml.problem import Streams, sample
from tutorlib.shapes import Tensor

CPU = torch.device("cpu")
DIGITS = Streams(kinds=("digits",), inputs=64, classes=10, length=100)
FEW = Streams(kinds=("omniglot-small",), inputs=196, classes=5, length=6, side=14)
TINY = Config(streams=Streams(inputs=4, classes=3, length=8), size=6, message=3, sequences=4, steps=4, num_evals=2)
A, B = 6, 3
"""entries of an input and classes of short streams"""


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(streams, sequences=16, seed=0):
    return sample(streams, sequences, generator(seed))


def rows_of(x, part="train", kind="digits", side=8):
    """Return for each image its number in the part it comes from."""
    known = problem.images(kind, part, side, "bilinear", CPU).x
    distance, row = torch.cdist(x, known.unsqueeze(0), compute_mode="donot_use_mm_for_euclid_dist").min(-1)
    assert distance.max() < 1e-4
    return row


def stream(sequences: int, time: int, inputs: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(sequences, time, inputs, generator=g, dtype=torch.float64)
    return x, torch.randint(classes, (sequences, time), generator=g)


def streams(sequences=3, length=9, seed=0):
    return sample(Streams(inputs=A, classes=B, length=length), sequences, generator(seed))
