"""The configuration of a meta-training run (VSML, 2012.14905), and in what runs side by side may differ."""

import math
from dataclasses import dataclass, field

from tutorlib.evolution import Population
from tutorlib.lab.errors import MOST, bad_argument, expect_fields
from tutorlib.nn import Descent, GridConfig
from tutorlib.nn.grid import REDUCTIONS
from tutorlib.papers.vsml import baselines
from tutorlib.papers.vsml.model import Network, convolutional, dense
from tutorlib.papers.vsml.problem import Streams

ESTIMATORS = ("bptt", "es")
LEARNERS = ("vsml", *baselines.LEARNERS)
LOSSES = ("mean", "last")


@dataclass(frozen=True)
class Config:
    """One meta-training run. Defaults are the CPU setting (9a); the code's value stands in brackets."""

    learner: str = "vsml"
    """vsml, or a baseline that is meta-trained alike"""
    streams: Streams = field(default_factory=Streams)
    """what is learned online, and T, the length of a lifetime"""
    hidden: tuple[int, ...] = ()
    """units of hidden layers [none, or 32]"""
    convolutions: int = 0
    """convolutions of 8 channels with stride 2 below them; inputs are then square images [none, 1 or 3]"""
    channels: int = 1
    """channels of these images, in the order (row, column, channel)"""
    size: int = 16
    """H [16]"""
    message: int = 8
    """M [8]"""
    micro_ticks: int = 2
    """updates for each example [2]"""
    forget_bias: float = 5.0
    """[5]"""
    input_bias: float = -5.0
    """[-5]"""
    reduce: str = "mean"
    """mean or sum [mean]"""
    layer_norm: bool = False
    """LayerNorm on messages [ES: no, BPTT: yes]"""
    layerwise: bool = False
    """own parameters in every layer [no]"""
    backward_pass: bool = False
    """[no; with convolutions: yes]"""
    separate_backward: bool = False
    """whether the backward pass has parameters of its own [no]"""
    feed_label: bool = False
    """[no; with hidden layers or convolutions: yes]"""
    batch: int = 1
    """examples of one task that come at once, in every lifetime [1]"""
    state_noise: bool = True
    """whether half of c, or the matrix of the fast-weight programmer, starts random [yes]"""
    estimator: str = "bptt"
    """bptt or es [both]"""
    loss_type: str = "mean"
    """mean over all predictions, or the last one alone [mean; few-shot: last]"""
    sequences: int = 32
    """lifetimes in a meta-step; pairs of an evolution strategy have one each [128; ES: 1024]"""
    sigma: float = 0.05
    """ES: sd of the perturbations [0.05]"""
    steps: int = 360
    """meta-steps [10,001]"""
    lr: float = 1e-2
    """Adam's learning rate [1e-3; ES: 0.025]"""
    max_grad_norm: float = 5.0
    """largest gradient norm; ES: none [25]"""
    chunk: int = 0
    """BPTT: examples between activation checkpoints; ES: pairs of which the lifetimes run at once; 0: none, and all"""
    num_evals: int = 12
    """how often the losses are summed up"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("steps", "num_evals"),
            sizes=("hidden", "size", "message", "micro_ticks", "sequences", "batch", "channels"),
            minimum={"convolutions": 0},
            maximum={"chunk": MOST, "convolutions": 1_000},
            positive=("sigma", "lr", "max_grad_norm"),
            choices={"learner": LEARNERS, "estimator": ESTIMATORS, "loss_type": LOSSES, "reduce": REDUCTIONS},
        )
        if self.batch > 1 and self.learner != "vsml":
            raise bad_argument("batch", self.batch, f"1 for the learner {self.learner}")
        _ = self.descent, self.population
        if self.learner == "vsml":
            _ = self.network

    @property
    def network(self) -> Network:
        """The grid of sub-RNNs for the sizes of ``streams``."""
        return self.network_for(self.streams.inputs, self.streams.classes)

    def network_for(self, inputs: int, classes: int) -> Network:
        """Return the same learner for other numbers of inputs and classes: theta does not depend on them."""
        grid = GridConfig(
            hidden=self.size,
            message=self.message,
            micro_ticks=self.micro_ticks,
            forget_bias=self.forget_bias,
            input_bias=self.input_bias,
            reduce=self.reduce,
            layer_norm=self.layer_norm,
        )
        if not self.convolutions and self.channels > 1:
            raise bad_argument("channels", self.channels, "1 without convolutions")
        if self.convolutions and not self.is_image(inputs):
            raise bad_argument("inputs", inputs, f"square images of {self.channels} channels, for convolutions")
        settings = {
            "grid": grid,
            "layerwise": self.layerwise,
            "backward_pass": self.backward_pass,
            "separate_backward": self.separate_backward,
            "feed_label": self.feed_label,
        }
        if self.convolutions:
            side = math.isqrt(inputs // self.channels)
            return convolutional(side, self.channels, classes, self.convolutions, self.hidden, **settings)
        return dense((inputs, *self.hidden, classes), **settings)

    def is_image(self, inputs: int) -> bool:
        """Return whether so many inputs are a square image of ``channels`` channels."""
        return math.isqrt(inputs // self.channels) ** 2 * self.channels == inputs

    @property
    def descent(self) -> Descent:
        """How theta descends."""
        max_grad_norm = math.inf if self.estimator == "es" else self.max_grad_norm
        return Descent(self.steps, self.lr, max_grad_norm=max_grad_norm, num_evals=self.num_evals)

    @property
    def population(self) -> Population:
        """The population of an evolution strategy."""
        return Population(self.sequences, self.sigma)


VARIES = ("lr",)
"""fields in which runs side by side may differ, besides the seed"""


def has_batch_axis(config: Config) -> bool:
    """Return whether a run needs the batch axis for itself, as the members of an evolution strategy do."""
    return config.estimator == "es"
