"""Pre-trained features (2212.04458, Fig. 9): a frozen network in front of the random projection.

The paper takes a ResNet trained on ImageNet. Here a small convolutional network is trained on the spot to tell the
characters of Omniglot apart, and then never changes; MNIST-like images go through it in place of their pixels.
"""

import math
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from tutorlib.data import load_images
from tutorlib.data.images import pooled
from tutorlib.lab.dry import rehearsal
from tutorlib.lab.errors import checked
from tutorlib.shapes import Float, Int, Tensor

SIDE = 28
"""side of the images that the network sees"""
EXTRACTED = 576
"""features that it makes of one"""


@cache
def drawings(pixels: int) -> tuple[Float[Tensor, "examples features"], Int[Tensor, "examples"]]:
    """Return Omniglot's two small parts as one set, averaged to a side of ``pixels``: each character is a class."""
    parts = [load_images("omniglot", f"background_small{i}") for i in (1, 2)]
    names = sorted({name for part in parts for name in part.class_names})
    number = [torch.tensor([names.index(name) for name in part.class_names]) for part in parts]
    x = torch.cat([1.0 - pooled(part.images, pixels, part.peak) for part in parts])  # ink is 1, as in the other sets
    y = torch.cat([new[part.labels] for new, part in zip(number, parts, strict=True)])
    # The parts share alphabets: the same drawing, twice, would be an easy neighbour.
    keep = torch.cat([torch.ones(len(parts[0]), dtype=torch.bool), ~torch.isin(number[1], number[0])[parts[1].labels]])
    return x[keep], y[keep].unique(return_inverse=True)[1]


class Extractor(nn.Module):
    """Three blocks of convolution, ReLU and max-pooling; a linear map to classes that only its training uses."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        sizes = (1, 16, 32, 64)
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(sizes))
        self.head = nn.Linear(EXTRACTED, classes)

    def features(self, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch features"]:
        """Return 576 features of images whose own mean and scale are taken out."""
        x = (x - x.mean(dim=1, keepdim=True)) / (x.std(dim=1, keepdim=True) + 1e-3)
        h = x.unflatten(1, (1, SIDE, SIDE))
        for convolution in self.convolutions:
            h = F.max_pool2d(convolution(h).relu(), 2)
        return h.flatten(1)


@checked()
def pre_train(
    x: Float[Tensor, "examples pixels"], y: Int[Tensor, "examples"], epochs: int, generator: torch.Generator
) -> Extractor:
    """Return a network trained to name the class of each image, shifted and thickened at random, by Adam."""
    net = Extractor(int(y.max()) + 1)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p.new_empty(p.shape).uniform_(-1, 1, generator=generator) / math.sqrt(p[0].numel()))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(64):
            images = x[rows].unflatten(1, (SIDE, SIDE))
            down, right, thick = torch.randint(-2, 3, (3,), generator=generator).tolist()
            images = images.roll((down, right), dims=(1, 2))
            if thick > 0:  # the strokes of MNIST and its relatives are wider than Omniglot's
                images = F.max_pool2d(images, 3, stride=1, padding=1)
            loss = F.cross_entropy(net.head(net.features(images.flatten(1))), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


@cache
def extractor(epochs: int = 12) -> Extractor:
    """Return the frozen network, trained from the same start each time; in a dry run it is not trained."""
    net = pre_train(*drawings(SIDE), 0 if rehearsal() else epochs, torch.Generator().manual_seed(0))
    return net.requires_grad_(False)


def features(images: Tensor, peak: int) -> Float[Tensor, "examples features"]:
    """Return the frozen network's features of ``images``, uint8 ``[n, h, w, c]`` with full intensity ``peak``."""
    grey = pooled(images, SIDE, peak).unflatten(1, (SIDE * SIDE, -1)).mean(dim=2)
    return torch.cat([extractor().features(part) for part in grey.split(1024)])
