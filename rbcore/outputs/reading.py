"""How a network's output is read as logits: accepted forms, and a wrapper that converts them."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Network = Callable[[Tensor], Any] | nn.Module
"""Any callable from images in [0, 1], float32 of shape (n, channels, height, width)."""

_STEPS: dict[str, Callable[[Any], Any]] = {
    "attribute": lambda output: output.logits,
    "key": lambda output: output["logits"],
    "item": lambda output: output[0],
    "flatten": lambda output: output.flatten(1),
    "float32": lambda output: output.float(),
    "two_classes": lambda output: torch.cat([torch.zeros_like(output), output], 1),
}
_SAID = {
    "attribute": "the attribute .logits of its output",
    "key": "the one entry 'logits' of its output",
    "item": "the one element of its output",
    "flatten": "its output without the trailing 1x1",
    "float32": "its float64 output rounded to float32",
    "two_classes": "its one logit f as the two logits (0, f) of both classes",
}


@dataclass(frozen=True)
class Reading:
    """How a network's output is read as logits.

    It is decided once and stored, so that a checkpoint is always read the same way.

    Attributes
    ----------
    steps
        What is done to the output, in order; names of `_STEPS`.
    without
        Name of the last module, a softmax or sigmoid, that is left out; empty where none is.
    takes_float64
        Whether the network computes in float64 and is given its images so.
    n_outputs
        Outputs the builder is asked for; 0 for one a class.
    is_log_softmax
        Whether the outputs are logarithms of probabilities, whose differences are
        those of the logits.
    """

    steps: tuple[str, ...] = ()
    without: str = ""
    takes_float64: bool = False
    n_outputs: int = 0
    is_log_softmax: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the network is used as it is."""
        return not (self.steps or self.without or self.takes_float64)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken, in sentences."""
        taken = [_SAID[step] for step in self.steps]
        notes = [f"Taken as logits: {', then '.join(taken)}."] if taken else []
        if self.without:
            notes.append(
                f"Its last module {self.without!r} gives probabilities and was left out: its "
                "inputs are the logits."
            )
        if self.takes_float64:
            notes.append("It computes in float64 and is given its images so.")
        if self.is_log_softmax:
            notes.append("Its outputs are logarithms of probabilities, which serve as logits.")
        return tuple(notes)


class _AsFloat64(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.double()


class AsLogits(nn.Module):
    """Makes logits of a network's output, step by step."""

    def __init__(self, steps: tuple[str, ...]) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, output: Any) -> Any:
        """Return what the last step makes of it."""
        for step in self.steps:
            output = _STEPS[step](output)
        return output


class _Called(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Any:
        return self.function(images)


def adapted(network: Network, reading: Reading) -> nn.Module:
    """Return a network whose output is logits by that reading.

    Names of weights and the given network stay as they are.
    """
    module = network if isinstance(network, nn.Module) else _Called(network)
    if reading.is_plain:
        return module
    if reading.without:
        module = copy.deepcopy(module)
        module.set_submodule(reading.without, nn.Identity())
    own = list(module.named_children()) if type(module) is nn.Sequential else [("network", module)]
    first = [("_as_float64", _AsFloat64())] if reading.takes_float64 else []
    return nn.Sequential(OrderedDict([*first, *own, ("_as_logits", AsLogits(reading.steps))]))
