"""What a model is: a network that takes images in [0, 1]; and the registry of architectures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rbcore.errors import ModelError
from rbcore.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import nn

    from rbcore.runs.sidecar import Sidecar

Shape = tuple[int, int, int]
"""Channels, height and width of an input."""
USUAL_SIZES = (32, 64, 224)
"""Heights and widths in pixels at which architectures are compared: the first that one takes."""


@dataclass(frozen=True)
class ModelSpec:
    """An architecture that can be built by name.

    Attributes
    ----------
    name, title
        Registered name, and the name for people.
    build
        ``build(input_shape, n_classes)`` returns a network without normalization that gives logits.
        `build_network` calls it, and only with sizes it takes.
    layers
        The layers in one sentence, with the source.
    smallest, largest
        Smallest and largest height and width in pixels that the layers take; no limit where
        `largest` is None.
    enlarged_to
        Height or width, whichever is smaller, to which images below `smallest` are enlarged
        *inside* the network, so that distances stay in the pixels of the dataset; such images are
        refused where it is None.
    imagenet
        Name of torchvision's ImageNet weights for it, ``Class.MEMBER``; None where there are none.
    last_layer
        Name of the layer of torchvision's network that depends on the classes, so that no
        ImageNet weights fit it.
    is_linear
        Whether it is linear, so that methods for linear models apply.
    n_parameters
        Trainable parameters for color images of 10 classes at `usual_size`; None for a
        builder of the user's own.
    source_sha256
        SHA-256 of the file a builder of the user's own was read from; None for what
        is registered here.
    """

    name: str
    title: str
    build: Callable[[Shape, int], nn.Module]
    layers: str
    smallest: int = 1
    largest: int | None = None
    enlarged_to: int | None = None
    imagenet: str | None = None
    last_layer: str | None = None
    is_linear: bool = False
    n_parameters: int | None = None
    source_sha256: str | None = None

    @property
    def sizes(self) -> str:
        """The sizes it takes, in words."""
        if self.smallest == self.largest:
            return f"images of {self.smallest}x{self.smallest} pixels only"
        if self.largest is not None:
            return f"images of {self.smallest} to {self.largest} pixels"
        if self.enlarged_to is not None:
            return (
                f"images of any size, those below {self.smallest} pixels enlarged inside to "
                f"{self.enlarged_to}"
            )
        return (
            f"images of at least {self.smallest} pixels"
            if self.smallest > 1
            else "images of any size"
        )

    @property
    def description(self) -> str:
        """Its layers and the sizes it takes, in one sentence."""
        return f"{self.layers}; {self.sizes}"

    @property
    def usual_size(self) -> int:
        """The first of `USUAL_SIZES` that it takes."""
        return next(size for size in USUAL_SIZES if self.takes(size, size))

    def takes(self, height: int, width: int) -> bool:
        """Whether it takes images of this size, enlarged or as they are."""
        is_large_enough = self.enlarged_to is not None or min(height, width) >= self.smallest
        return is_large_enough and (self.largest is None or max(height, width) <= self.largest)


MODELS: Registry[ModelSpec] = Registry("model")


def build_network(
    name: str, input_shape: Shape, n_classes: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> nn.Module:
    """Build a registered network with its normalization as the first layer.

    The result maps float32 images in [0, 1], shape (n, channels, height, width), to logits, shape
    (n, n_classes). Its initial weights are drawn from torch's global generator:
    ``torch.manual_seed`` fixes them.

    Raises
    ------
    UnknownNameError
        If no model has that name.
    ModelError
        If it cannot take images of that shape.
    """
    from torch import nn

    from rbcore.models.normalize import Normalize

    spec = MODELS[name]
    _, height, width = input_shape
    if not spec.takes(height, width):
        raise ModelError(f"{name} takes {spec.sizes}, not {height}x{width}; load another size.")
    layers = [("normalize", Normalize(mean, std)), ("network", spec.build(input_shape, n_classes))]
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
    facts: Sidecar
    device: torch.device
