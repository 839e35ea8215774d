"""What the meta-trained baselines of VSML (2012.14905) share: how they meet a stream, and their sizes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.papers.vsml.descent import check_shapes, squash
from tutorlib.shapes import Float, Int, Tensor


@dataclass(frozen=True)
class Sizes:
    """Sizes of the meta-trained baselines. Defaults are the code's, but for the size of a value of our delta rule."""

    rnn: int = 128
    """units of the Meta RNN's LSTM"""
    micro_ticks: int = 2
    """its updates for each example"""
    controller: int = 32
    """units of the LSTM of the fast-weight memory"""
    slots: int = 16
    """entries of a value, and of each of the two halves of a key, in that memory: a matrix of slots x slots^2"""
    fast: int = 64
    """entries of a key of the two that use the delta rule"""
    coefficient: float = 0.01
    """start of the factors before the plastic weights"""
    plasticity: float = -4.5
    """start of the logit of their learning rate eta, a sigmoid"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("rnn", "micro_ticks", "controller", "slots", "fast"))


class Online(nn.Module, ABC):
    """A learner for ``inputs`` and ``classes``: ``forward(x, y)`` answers every example before it reads its label.

    A kind of learner says what it keeps in mind (``start``), how it answers (``predict``), and what it does with the
    label afterwards (``learn``). The error and label of an example also reach ``predict`` for the next one.

    Parameters called ``w_...`` are matrices [from, to], to be drawn by ``baselines.initial_parameters``; others start
    as they stand here.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.inputs, self.classes = inputs, classes

    @abstractmethod
    def start(self, like: Float[Tensor, "sequences inputs"], drawn: Tensor | None) -> Any:
        """Return V_L before the first example; ``drawn`` is what ``baselines.initial_memory`` gives."""

    @abstractmethod
    def predict(self, state: Any, x: Tensor, error: Tensor, label: Tensor) -> tuple[Any, Tensor]:
        """Return V_L and the outputs z for ``x``; ``error`` and ``label`` are those of the example before."""

    def learn(self, state: Any, x: Tensor, error: Tensor, label: Tensor) -> Any:
        """Return V_L after the example ``x`` with its own ``error`` and ``label``."""
        return state

    def forward(
        self, x: Float[Tensor, "sequences time entries"], y: Int[Tensor, "sequences time"], drawn: Tensor | None = None
    ) -> Float[Tensor, "sequences time classes"]:
        """Return the logits. Inputs with fewer entries than ``inputs`` are padded with zeros.

        ``drawn`` is the random start of V_L where a kind has one (see ``baselines.initial_memory``); without it V_L
        starts as 0.

        Raises ``UsageError`` if x has more entries, or y not one label for each example.
        """
        if x.shape[-1] > self.inputs:
            raise bad_argument("x", tuple(x.shape), f"at most {self.inputs} entries in the last axis")
        check_shapes(x, y)
        x = F.pad(x, (0, self.inputs - x.shape[-1]))
        labels = F.one_hot(y, self.classes).to(x.dtype)
        error = label = torch.zeros_like(labels[:, 0])
        state = self.start(x[:, 0], drawn)
        answers = []
        for t in range(x.shape[1]):
            state, z = self.predict(state, x[:, t], error, label)
            answers.append(squash(z))
            label = labels[:, t]
            error = answers[-1].softmax(dim=-1) - label  # the gradient of the cross-entropy at the output
            state = self.learn(state, x[:, t], error, label)
        return torch.stack(answers, dim=1)


def weights(*shape: int) -> nn.Parameter:
    """Return meta-variables, zero until ``baselines.initial_parameters`` draws them."""
    return nn.Parameter(torch.zeros(shape))
