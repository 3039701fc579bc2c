"""What a distance method is: its parameters, which bound it gives, and one signature for all."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from rbcore.errors import MethodError
from rbcore.registry import Registry, unknown_name

Parameters = dict[str, Any]

BOUND_NOTES = {
    "upper": "Distances are upper bounds: the boundary may be closer than the attack found.",
    "exact": (
        "Distances are exact for this linear model, but ignore the box [0, 1] of valid images, so they are lower bounds for "
        "any attack confined to it."
    ),
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method; its type is that of its default.

    Attributes
    ----------
    name, default
        Name, and value where none is given.
    low, high
        Smallest and largest value allowed.
    meaning
        What it does, with its unit.
    """

    name: str
    default: int | float
    low: float
    high: float
    meaning: str

    def parse(self, value: object) -> int | float:
        """Return the value as the parameter's type, or raise `MethodError` naming the range."""
        kind = type(self.default)
        try:
            number = kind(str(value))
        except ValueError:
            number = None
        if number is None or not math.isfinite(number) or not self.low <= number <= self.high:
            noun = "a whole number" if kind is int else "a number"
            raise MethodError(f"{self.name}={value} is not {noun} from {self.low:g} to {self.high:g} ({self.meaning}).")
        return number


@dataclass(frozen=True)
class Proposal:
    """What a method says of a batch of correctly classified images; the engine decides what counts.

    Attributes
    ----------
    perturbed
        Images across the boundary, shape as the clean ones; NaN where the method has none.
    distance
        Distances in closed form, float64 shape (n,), or None where the perturbed image's own distance is meant.
    """

    perturbed: Tensor
    distance: Tensor | None = None


@dataclass(frozen=True)
class Method:
    """A way to estimate the L2 distance of an image to the decision boundary.

    Attributes
    ----------
    name, title
        Registered name, and the name for people.
    run
        ``run(network, images, labels, **parameters)`` returns a `Proposal`. All images are classified correctly and
        lie in [0, 1], shape (n, channels, height, width); the network's parameters are frozen.
    bound
        ``upper`` for attacks, ``exact`` for closed forms: what its distances are of the true one.
    parameters
        What can be set.
    presets
        Named settings; ``name:preset`` selects one.
    version
        Raised whenever the numbers change for the same parameters.
    description
        One sentence, with the source.
    only_linear
        Whether it applies to linear networks only.
    """

    name: str
    title: str
    run: Callable[..., Proposal]
    bound: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    presets: Mapping[str, Parameters] = field(default_factory=dict)
    version: int = 1
    only_linear: bool = False

    @property
    def bound_note(self) -> str:
        """What its distances are of the true ones, in a sentence for readers."""
        return BOUND_NOTES[self.bound]

    def resolve(self, preset: str | None, given: Mapping[str, object]) -> Parameters:
        """Return all parameters: defaults, overridden by the preset, overridden by those given.

        Raises
        ------
        UnknownNameError
            For a preset or parameter this method does not have.
        MethodError
            For a value out of range.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        values: dict[str, object] = {name: parameter.default for name, parameter in known.items()}
        if preset is not None:
            if preset not in self.presets:
                raise unknown_name(f"preset of {self.name}", preset, list(self.presets))
            values.update(self.presets[preset])
        for name, value in given.items():
            if name not in known:
                raise unknown_name(f"parameter of {self.name}", name, list(known))
            values[name] = value
        return {name: known[name].parse(value) for name, value in values.items()}


METHODS: Registry[Method] = Registry("method")


def resolve_method(spelled: str, given: Mapping[str, object] | None = None) -> tuple[Method, Parameters]:
    """Turn ``method`` or ``method:preset`` and given parameters into the method and all its parameters."""
    name, _, preset = spelled.partition(":")
    method = METHODS[name]
    return method, method.resolve(preset or None, given or {})


def method_spellings(*, is_linear: bool = True) -> dict[str, str]:
    """Return every method and preset that applies to a network, as it is spelled, with its title.

    A preset equal to the defaults is left out.
    """
    spellings = {}
    for method in METHODS.values():
        if method.only_linear and not is_linear:
            continue
        spellings[method.name] = method.title
        for preset in method.presets:
            if method.resolve(preset, {}) != method.resolve(None, {}):
                spellings[f"{method.name}:{preset}"] = f"{method.title}, {preset} settings"
    return spellings


Network = Callable[[Tensor], Tensor] | nn.Module
"""Any callable from images in [0, 1] to logits."""
