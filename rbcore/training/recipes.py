"""How networks are trained, in one table: the paper's recipe, and a modern, shorter one."""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from rbcore.errors import TrainingError
from rbcore.registry import unknown_name

ANY = "*"
WARM_UP = 0.05
"""Share of the steps over which a cosine schedule rises from 0."""


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent on the cross entropy.

    Attributes
    ----------
    name
        ``paper`` or ``modern``.
    epochs
        Passes over the training split.
    batch_size
        Images a step.
    learning_rate, momentum, weight_decay
        Of SGD; the learning rate is the highest one under a schedule.
    schedule
        ``constant``, or ``cosine``: a short rise, then down to 0.
    flip
        Whether images are mirrored at random.
    shift
        Largest random shift in both directions, as a share of the side.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    flip: bool = False
    shift: float = 0.0

    def rate(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step, counted from 0, of ``n_steps`` in the whole run."""
        if self.schedule == "constant":
            return self.learning_rate
        rise = max(1, round(WARM_UP * n_steps))
        if step < rise:
            return self.learning_rate * (step + 1) / rise
        return (
            self.learning_rate
            * 0.5
            * (1 + math.cos(math.pi * (step - rise) / max(1, n_steps - rise)))
        )

    @property
    def description(self) -> str:
        """The settings in one sentence."""
        extras = [f"weight decay {self.weight_decay:g}"] if self.weight_decay else []
        extras += [f"{self.schedule} schedule"] if self.schedule != "constant" else []
        extras += ["mirrored at random"] if self.flip else []
        extras += [f"shifted by up to {self.shift:.0%}"] if self.shift else []
        rate = f"learning rate {self.learning_rate:g}, momentum {self.momentum:g}"
        return ", ".join([f"SGD, batch {self.batch_size}, {rate}", *extras]) + "."

    def as_facts(self) -> dict[str, object]:
        """Return the recipe as JSON-able facts."""
        return asdict(self)


PAPER = Recipe("paper", epochs=50, batch_size=28, learning_rate=5e-4)
"""Section 5: no weight decay, no schedule, no augmentation."""

_FACES = Recipe("modern", 12, 64, 0.05, weight_decay=5e-4, schedule="cosine", flip=True)
_SHIFTED = replace(_FACES, learning_rate=0.02, shift=1 / 16)
_OBJECTS = replace(_SHIFTED, epochs=30, batch_size=128, learning_rate=0.1)
_DIGITS = Recipe("modern", 12, 32, 0.02, weight_decay=5e-4, schedule="cosine")

MODERN: tuple[tuple[str, str, Recipe], ...] = (
    # dataset, model, recipe: the first row that fits
    ("digits", ANY, _DIGITS),
    ("fashion_mnist", "logistic_regression", replace(_DIGITS, batch_size=64)),
    (ANY, "logistic_regression", replace(_SHIFTED, learning_rate=0.001)),
    (ANY, "alexnet", replace(_SHIFTED, learning_rate=0.005)),
    (ANY, "vgg19", replace(_SHIFTED, learning_rate=0.005)),
    (ANY, "squeezenet1_0", replace(_SHIFTED, learning_rate=0.005)),
    ("cifar10", ANY, _OBJECTS),
    ("cifar100", ANY, _OBJECTS),
    ("cifar100super", ANY, _OBJECTS),
    ("toyfaces", ANY, replace(_SHIFTED, epochs=8)),
    ("toyfaces0", ANY, replace(_SHIFTED, epochs=8)),
    ("toyfaces30", ANY, replace(_SHIFTED, epochs=8)),
    ("toyfaces90", ANY, replace(_SHIFTED, epochs=8)),
    (ANY, "small_cnn", _FACES),
    (ANY, ANY, _SHIFTED),
)

NAMES = ("modern", "paper")


def recipe_for(dataset: str, model: str, name: str = "modern", epochs: int | None = None) -> Recipe:
    """Return the recipe of that name for a dataset and a model, with the epochs that are given.

    Raises
    ------
    UnknownNameError
        If there is no recipe of that name.
    TrainingError
        If the number of epochs makes no sense.
    """
    if name not in NAMES:
        raise unknown_name("recipe", name, list(NAMES))
    fitting = (
        recipe
        for data, network, recipe in MODERN
        if data in (ANY, dataset) and network in (ANY, model)
    )
    recipe = PAPER if name == "paper" else next(fitting)
    if epochs is None:
        return recipe
    if not 1 <= epochs <= 10_000:
        raise TrainingError(f"{epochs} epochs cannot be trained; give a number from 1 to 10000.")
    return replace(recipe, epochs=epochs)


def named_epochs(n_epochs: int) -> dict[str, int]:
    """Return the epochs that have names: first is 1, middle ceil(E / 2), last E."""
    return {"first": 1, "middle": -(-n_epochs // 2), "last": n_epochs}


def kept_epochs(keep: str, n_epochs: int) -> tuple[int, ...]:
    """Return the epochs whose checkpoints are kept.

    Parameters
    ----------
    keep
        ``all``, or a number: 3 keeps first, middle and last; N keeps N, evenly
        spaced, the last always.
    """
    if keep == "all":
        return tuple(range(1, n_epochs + 1))
    if not keep.isdecimal() or int(keep) < 1:
        raise TrainingError(f"keep={keep!r} is neither 'all' nor a number from 1.")
    if int(keep) == 1:
        return (n_epochs,)
    if int(keep) == 3:
        return tuple(sorted(set(named_epochs(n_epochs).values())))
    return tuple(sorted({int(epoch) for epoch in np.linspace(1, n_epochs, int(keep)).round()}))
