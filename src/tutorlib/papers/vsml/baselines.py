"""Learners that VSML (2012.14905) is compared with and that are meta-trained like it.

Every learner answers example t with logits that come from the examples before t and from x_t alone. They are networks
whose weights are meta-variables, V_M, and whose state during a stream are the learned variables, V_L:

    meta-rnn                an LSTM reads x_t and the error and label of the example before (the paper's section 1)
    hebbian, oja            one linear map whose weights also grow by a local rule, without a loss
    fast-weight-memory      an LSTM with a matrix that it writes to and reads from
    fast-weight-programmer  one matrix that a slow linear map writes by the delta rule
    delta-rule              the same idea with bounded keys and two looks; our own, not the code's

Their theta has one length for one number of inputs and of classes: that is what padding is for, and what VSML spares.
Methods, sizes and starting values are those of the paper's code, but for the delta rule. They stand in ``recurrent``,
``plastic`` and ``fast_weights``; what they share, in ``online``. (Online gradient descent is in ``descent``.)
"""

import math

import torch

from tutorlib.lab.errors import bad_argument, checked, choose
from tutorlib.papers.vsml.fast_weights import DeltaRule, FastWeightMemory, FastWeightProgrammer
from tutorlib.papers.vsml.online import Online, Sizes
from tutorlib.papers.vsml.plastic import Plastic
from tutorlib.papers.vsml.problem import truncated_normal
from tutorlib.papers.vsml.recurrent import MetaRNN
from tutorlib.shapes import Float, Tensor

CUT = 0.8796256610342398
"""sd of the standard normal distribution cut at two sd"""

Generators = torch.Generator | list[torch.Generator] | None


LEARNERS = ("meta-rnn", "hebbian", "oja", "fast-weight-memory", "delta-rule", "fast-weight-programmer")
"""Baselines that are meta-trained, by name."""


def build(name: str, inputs: int, classes: int, sizes: Sizes | None = None) -> Online:
    """Return the baseline called ``name``, its matrices zero until ``initial`` draws them.

    Raises ``UsageError`` for an unknown name, or sizes that are not positive.
    """
    choose("name", name, LEARNERS)
    for argument, value in (("inputs", inputs), ("classes", classes)):
        if value < 1:
            raise bad_argument(argument, value, "a positive whole number")
    sizes = sizes or Sizes()
    if name == "meta-rnn":
        return MetaRNN(inputs, classes, sizes)
    if name == "fast-weight-memory":
        return FastWeightMemory(inputs, classes, sizes)
    if name == "delta-rule":
        return DeltaRule(inputs, classes, sizes)
    if name == "fast-weight-programmer":
        return FastWeightProgrammer(inputs, classes, sizes)
    return Plastic(inputs, classes, sizes, oja=name == "oja")


@checked()
def initial_parameters(module: Online, generator: torch.Generator) -> Float[Tensor, "parameters"]:
    """Return theta before meta-training, in the order of the module's parameters.

    Matrices are normal with sd 1/sqrt(fan-in), cut at two sd; everything else starts as the module holds it.
    """
    pieces = []
    for name, p in module.named_parameters():
        drawn = name.startswith("w_")
        start = truncated_normal(tuple(p.shape), generator) / math.sqrt(p.shape[0]) if drawn else p.detach().clone()
        pieces.append(start.flatten())
    return torch.cat(pieces)


def initial_memory(
    module: Online, x: Float[Tensor, "*members sequences time entries"], generator: Generators
) -> Float[Tensor, "*members sequences classes fast"] | None:
    """Return the random start of V_L for the streams ``x``; None if the learner has none, or without a ``generator``.

    That of the fast-weight programmer is normal, cut at two sd, of sd 1/sqrt(fast) after the cut. As with VSML's
    initial states, one generator for many members is that of an evolution strategy, where both members of a pair start
    alike: the first half of the members draws, and the second half repeats it. A list has one generator for each.

    Raises ``UsageError`` for an odd number of members under one generator.
    """
    if generator is None or not isinstance(module, FastWeightProgrammer):
        return None
    shape = (x.shape[-3], module.classes, module.fast)
    if isinstance(generator, list):
        drawn = torch.stack([truncated_normal(shape, each) for each in generator])
    elif x.dim() == 4:
        if len(x) % 2:
            raise bad_argument("x", tuple(x.shape), "an even number of members: pairs that start alike")
        drawn = truncated_normal((len(x) // 2, *shape), generator).repeat(2, 1, 1, 1)
    else:
        drawn = truncated_normal(shape, generator)
    return (drawn / (CUT * math.sqrt(module.fast))).to(x)
