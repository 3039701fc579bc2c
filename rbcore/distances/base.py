"""What a distance method is: its parameters, which bound it gives, and one signature for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from rbcore.errors import MethodError
from rbcore.measures.tables import Bound
from rbcore.norms import Norm
from rbcore.parameters import Parameter, Value, resolve_parameters
from rbcore.registry import Registry, unknown_name

if TYPE_CHECKING:
    from torch import Tensor, nn

Network: TypeAlias = "Callable[[Tensor], Tensor] | nn.Module"
"""Any callable from images in [0, 1] to logits."""

BOUND_NOTES = {
    Bound.UPPER: "Distances are upper bounds: the boundary may be closer than the attack found.",
    Bound.EXACT: (
        "Distances are exact for this linear model, but ignore the box [0, 1] of valid images, so "
        "they are lower bounds for any attack confined to it."
    ),
    Bound.LOWER: (
        "Distances are radii certified for the smoothed classifier g, lower bounds of its own "
        "distance and not of the network's."
    ),
}
SMOOTHED_UPPER_NOTE = (
    "Distances are upper bounds of the smoothed classifier g's own distance, and not of the "
    "network's: where they were found, g has another class with the stated confidence."
)


@dataclass(frozen=True)
class Batch:
    """Images for a method to work on.

    Those the network classifies correctly; for a method about g all of them.

    Attributes
    ----------
    images
        Shape (n, channels, height, width), in [0, 1], on the network's device.
    labels
        True classes, int64, shape (n,).
    logits
        The network's logits for these images, shape (n, n_classes).
    seeds
        One number a sample, int64, shape (n,): the only source of randomness, so that no sample
        depends on its neighbors.
    size
        Largest number of images to send through the network in one pass.
    done
        To be called with the number of samples finished since the last call.
    """

    images: Tensor
    labels: Tensor
    logits: Tensor
    seeds: np.ndarray
    size: int
    done: Callable[[int], None]

    def take(self, rows: Tensor) -> Batch:
        """Return the batch of some of its images."""
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            logits=self.logits[rows],
            seeds=self.seeds[rows.cpu()],
        )


@dataclass(frozen=True)
class AttackResult:
    """What a method says of a batch; of what an attack says, the engine decides what counts.

    Attributes
    ----------
    perturbed
        Images across the boundary, shape as the clean ones, NaN where the method has none;
        None if it makes none.
    distance
        Distances or radii, float64, shape (n,); None where the perturbed image's own
        distance is meant.
    status
        ``exact | certified | abstained | overruled | found |
        failed`` of each sample, shape (n,); None where the engine is to find out by predicting
        the perturbed images.
    columns
        Further columns of the table, int64 of shape (n,) each; -1 where a sample has no such value.
    prediction
        Class of each clean image by the classifier the distances are of, int64, shape (n,); None
        where that is the network.
    """

    perturbed: Tensor | None = None
    distance: np.ndarray | None = None
    status: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    prediction: np.ndarray | None = None


@dataclass(frozen=True)
class Method:
    """A way to estimate the distance of an image to the decision boundary.

    Attributes
    ----------
    name, title
        Registered name, and the name for people.
    run
        ``run(network, batch, **parameters)`` returns a `AttackResult` for a `Batch`. The network is
        a `CountedNetwork` in evaluation mode with frozen parameters.
    bound
        ``upper`` for attacks, ``lower`` for certificates, ``exact`` for closed forms: what its
        distances are of the true one.
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
    columns
        Names of the further columns its proposals have.
    passes
        Passes an image with given parameters, where they are known beforehand; None otherwise.
    smoothed
        Whether its distances are those of the smoothed classifier g and not of the network f. Then
        it gets all images, those that f misclassifies too, and says which class g has for each.
    norm
        Norm of its distances.
    """

    name: str
    title: str
    run: Callable[..., AttackResult]
    bound: Bound
    description: str
    parameters: tuple[Parameter, ...] = ()
    presets: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    version: int = 1
    only_linear: bool = False
    columns: tuple[str, ...] = ()
    passes: Callable[[Mapping[str, Value]], int] | None = None
    smoothed: bool = False
    norm: Norm = Norm.L2

    @property
    def bound_note(self) -> str:
        """What its distances are of the true ones, in a sentence for readers."""
        return (
            SMOOTHED_UPPER_NOTE
            if self.smoothed and self.bound == Bound.UPPER
            else BOUND_NOTES[self.bound]
        )

    def resolve(self, preset: str | None, given: Mapping[str, object]) -> dict[str, Value]:
        """Return all parameters: defaults, overridden by the preset, overridden by those given.

        Raises
        ------
        UnknownNameError
            For a preset or parameter this method does not have.
        MethodError
            For a value out of range.
        """
        if preset is not None and preset not in self.presets:
            raise unknown_name(f"preset of {self.name}", preset, list(self.presets))
        settings = None if preset is None else self.presets[preset]
        return resolve_parameters(self.name, self.parameters, given, settings, MethodError)


METHODS: Registry[Method] = Registry("method")


def resolve_method(
    spelled: str, given: Mapping[str, object] | None = None
) -> tuple[Method, dict[str, Value]]:
    """Turn a spelled method and given parameters into the method and all its parameters.

    Spelled ``method[:preset] [name=value ...]``.

    Raises
    ------
    UnknownNameError
        If the method, the preset or a parameter does not exist.
    MethodError
        If a value is out of range, or a word is no ``name=value``.
    """
    first, *words = spelled.split() or [""]
    name, _, preset = first.partition(":")
    method = METHODS[name]
    pairs = [word.partition("=") for word in words]
    for parameter, equals, value in pairs:
        if not (parameter and equals and value):
            raise MethodError(
                f"{parameter}{equals}{value} in {spelled!r} is not of the form name=value."
            )
    return method, method.resolve(
        preset or None, {**{name: value for name, _, value in pairs}, **(given or {})}
    )


def format_method(method: Method, parameters: Mapping[str, object]) -> str:
    """Return the shortest name of a method with these parameters.

    Its own or a preset's, and the parameters that differ.
    """

    def differing(preset: str | None) -> list[str]:
        usual = method.resolve(preset, {})
        return [f"{name}={value}" for name, value in parameters.items() if value != usual.get(name)]

    nearest = min([None, *method.presets], key=lambda preset: len(differing(preset)))
    return " ".join(
        [method.name if nearest is None else f"{method.name}:{nearest}", *differing(nearest)]
    )


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
