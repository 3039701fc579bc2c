"""What a model is: a network that takes images in [0, 1], its weights' hash, and the registry of architectures."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rbcore.registry import Registry
from rbcore.store import Facts

Shape = tuple[int, int, int]
"""Channels, height and width of an input."""


@dataclass(frozen=True)
class ModelSpec:
    """An architecture that can be built by name.

    Attributes
    ----------
    name, title
        Registered name, and the name for people.
    build
        ``build(input_shape, n_classes)`` returns a network without normalisation that gives logits; it raises
        `ModelError` for a shape it cannot take.
    description
        The layers in one sentence.
    """

    name: str
    title: str
    build: Callable[[Shape, int], nn.Module]
    description: str


MODELS: Registry[ModelSpec] = Registry("model")


class Normalize(nn.Module):
    """Subtract a mean and divide by a standard deviation, channel by channel, in units of [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return normalised images of the same shape (n, channels, height, width)."""
        return (images - self.mean) / self.std


def build_network(
    name: str, input_shape: Shape, n_classes: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> nn.Module:
    """Build a registered network with its normalisation as the first layer.

    The result maps float32 images in [0, 1], shape (n, channels, height, width), to logits, shape (n, n_classes).
    """
    layers = [("normalize", Normalize(mean, std)), ("network", MODELS[name].build(input_shape, n_classes))]
    return nn.Sequential(OrderedDict(layers))


@dataclass(frozen=True)
class Model:
    """A trained network and where it comes from.

    Attributes
    ----------
    network
        In evaluation mode, on `device`; images in [0, 1] to logits.
    weights_sha256
        SHA-256 of the checkpoint file.
    facts
        The checkpoint's sidecar: dataset, run, epoch, recipe, seed, accuracies.
    device
        Where the network lies.
    """

    network: nn.Module
    weights_sha256: str
    facts: Facts
    device: torch.device
