"""What learns in a batch of runs, what stays the same, and noise: what all five agents share (2211.02222).

All that is random in a step is drawn before it, as one row of uniforms for each seed, so that the step is a function.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from tutorlib.lab.errors import bad_argument, checked
from tutorlib.nn import Moments, no_moments
from tutorlib.papers.mbrl.config import Config
from tutorlib.papers.mbrl.model import MLP, LatentModel, SimpleModel
from tutorlib.papers.mbrl.problem import Simulator
from tutorlib.shapes import Float, Tensor


class Learner(NamedTuple):
    """All that is learned, and how far the learning has come."""

    q: Float[Tensor, "seeds parameters"]
    target_params: Float[Tensor, "seeds parameters"]
    """Q^-"""
    q_moments: Moments
    model: Float[Tensor, "seeds parameters"]
    """of no length where there is no model to learn"""
    model_moments: Moments
    updates: int


class Setting(NamedTuple):
    """What stays the same in a batch of runs."""

    config: Config
    env: Simulator
    net: MLP
    model: SimpleModel | LatentModel | None
    lr: Float[Tensor, "seeds 1"]
    temperature: Float[Tensor, "seeds 1 1"]


@checked()
def uniforms(generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> Tensor:
    """Return uniforms in (0, 1), ``[seeds, *shape]``: each seed's from its own generator, which is of that device."""
    # Not ``nn.uniform``: parts may be empty, and a dry run has generators of the host beside tensors of another device.
    drawn = torch.stack([torch.rand(*shape, generator=g, device=device) for g in generators])
    return drawn.clamp(min=1e-7)  # rand may return 0, of which there is no normal number


def begin(
    config: Config,
    seeds: Sequence[int],
    device: torch.device,
    lrs: Sequence[float] | None = None,
    temperatures: Sequence[float] | None = None,
) -> tuple[Setting, Learner]:
    """Return a batch of runs before its first step; ``lrs`` and ``temperatures`` give each run its own.

    Raises ``UsageError`` if there are no seeds, or not one rate or temperature for each.
    """
    if not seeds:
        raise bad_argument("seeds", seeds, "at least one")
    for name, values in (("lrs", lrs), ("temperatures", temperatures)):
        if values is not None and len(values) != len(seeds):
            raise bad_argument(name, values, f"one for each of {len(seeds)} seeds, or None")
    env = config.world(device)
    model = config.model(env)
    inputs = model.inputs if model else env.observations
    net = MLP(inputs, env.actions, config.hidden, config.layers, config.activation)
    q, of_model = [], []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        q.append(net.initial_parameters(1, generator))
        of_model.append(model.initial_parameters(1, generator) if model else q[-1].new_zeros(1, 0))
    theta, m = torch.cat(q).to(device), torch.cat(of_model).to(device)
    lr = torch.tensor(lrs or len(seeds) * [config.lr], device=device)
    temperature = torch.tensor(temperatures or len(seeds) * [config.temperature], device=device)
    setting = Setting(config, env, net, model, lr[:, None], temperature[:, None, None])
    return setting, Learner(theta, theta.clone(), no_moments(theta), m, no_moments(m), 0)


# Noise

Shapes = tuple[tuple[int, ...], ...]


def phi_size(setting: Setting) -> int:
    """Return how many uniforms a latent state takes: 0 where Q reads observations."""
    return setting.model.noise if isinstance(setting.model, LatentModel) else 0


def total(shapes: Shapes) -> int:
    """Return how many numbers tensors of these shapes hold together."""
    return sum(math.prod(shape) for shape in shapes)


def dealt(u: Float[Tensor, "seeds total"], shapes: Shapes) -> list[Tensor]:
    """Return the numbers of each seed as tensors of these shapes, one after the other."""
    parts = u.split([math.prod(shape) for shape in shapes], dim=-1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, shapes, strict=True)]


# How Q reads


def read(setting: Setting, learner: Learner, o: Tensor, u: Float[Tensor, "seeds batch latents"]) -> Tensor:
    """Return what Q reads of the observations: themselves, or a sample phi of each by ``u``."""
    return setting.model.state(learner.model, o, u) if isinstance(setting.model, LatentModel) else o


def phi_noise(setting: Setting, batch: int, generators: Sequence[torch.Generator], device: torch.device) -> Tensor:
    """Return the uniforms that ``read`` takes of ``batch`` observations."""
    return uniforms(generators, (batch, phi_size(setting)), device)


__all__ = [
    "Learner",
    "Setting",
    "Shapes",
    "begin",
    "dealt",
    "phi_noise",
    "phi_size",
    "read",
    "total",
    "uniforms",
]
