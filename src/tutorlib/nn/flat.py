"""A network as a function of one flat parameter vector, and of many such vectors at once."""

from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap

from tutorlib.lab.errors import bad_argument, checked
from tutorlib.shapes import Float, Tensor


class FlatModule:
    """``f(theta, *inputs)`` for a module whose parameters are slices of the vector ``theta``.

    A flat vector makes an optimiser a few lines, a stack of them (shape ``runs parameters``) makes many networks
    of one shape run as one batch: ``theta`` and every input then carry the same leading axis.
    """

    @checked()
    def __init__(self, module: nn.Module) -> None:
        self.module = module
        parameters = dict(module.named_parameters())
        self.names = list(parameters)
        self.shapes = [p.shape for p in parameters.values()]
        self.sizes = [p.numel() for p in parameters.values()]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(self.sizes)

    def vector(self) -> Float[Tensor, "parameters"]:
        """Return a copy of the module's own parameters as one vector."""
        return torch.cat([p.detach().flatten() for p in self.module.parameters()])

    def __call__(self, theta: Float[Tensor, "*runs parameters"], *inputs: Any) -> Tensor:
        """Return the module's output under ``theta``; for a stack of vectors, one output per vector."""
        if theta.shape[-1] != self.size or theta.dim() > 2:
            raise bad_argument("theta", tuple(theta.shape), f"({self.size},) or (runs, {self.size})")
        # vmap costs a tenth of the speed on a CPU, so one network is not a batch of one.
        return self._apply(theta, *inputs) if theta.dim() == 1 else vmap(self._apply)(theta, *inputs)

    def _apply(self, theta: Float[Tensor, "parameters"], *inputs: Any) -> Tensor:
        pieces = zip(self.names, theta.split(self.sizes), self.shapes, strict=True)
        return functional_call(self.module, {name: p.view(shape) for name, p, shape in pieces}, inputs)
