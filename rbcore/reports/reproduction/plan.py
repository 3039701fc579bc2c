"""What `reproduce` trains and computes: every budget stands here, and the report repeats it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rbcore.sampling import Rows

ALL = Rows()
LINEAR = "logistic_regression"
NETWORK = "small_cnn"
EVERY_EPOCH = ("first", "middle", "last")
SMOOTHING = {"noise": 0.125, "n0": 50, "n": 500, "alpha": 0.001}
"""The paper's, but for 50 and 500 draws instead of 100 and 100,000; noise in [0, 1] pixel space."""


@dataclass(frozen=True)
class Work:
    """Distances to compute.

    Attributes
    ----------
    model, method
        As `rbcore.distances.estimate.estimate_distances`.
    epochs
        Names of epochs.
    rows
        Which images; all of the test split where nothing is said.
    parameters
        Of the method, where they are not its defaults.
    """

    model: str
    method: str
    epochs: tuple[str, ...] = ("last",)
    rows: Rows = ALL
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """What is done with one dataset.

    Attributes
    ----------
    dataset
        Its name.
    epochs
        Epochs each model is trained for, by the model's name: none where the recipe's
        own number is taken.
    work
        Distances to compute.
    """

    dataset: str
    epochs: Mapping[str, int | None]
    work: tuple[Work, ...]


def works(
    minimal: int | None,
    carlini_wagner: int | None,
    carlini_wagner_epochs: tuple[str, ...] = ("last",),
) -> tuple[Work, ...]:
    """Return the usual distances; the numbers limit the images of slow attacks on the network.

    Carlini-Wagner takes its images from those of smoothing, so that the two can be compared.
    """
    return (
        Work(LINEAR, "exact", EVERY_EPOCH),
        Work(LINEAR, "deepfool", EVERY_EPOCH),
        Work(LINEAR, "minimal"),
        Work(LINEAR, "carlini_wagner", rows=Rows(every=5, limit=200)),
        Work(LINEAR, "smoothing", rows=Rows(every=5), parameters=SMOOTHING),
        Work(NETWORK, "deepfool", EVERY_EPOCH),
        Work(NETWORK, "minimal", rows=Rows(limit=minimal)),
        Work(NETWORK, "carlini_wagner", carlini_wagner_epochs, Rows(every=5, limit=carlini_wagner)),
        Work(NETWORK, "smoothing", rows=Rows(every=5), parameters=SMOOTHING),
    )


LINEAR_ONLY = tuple(work for work in works(None, None) if work.model == LINEAR)

PLAN: tuple[Audit, ...] = (
    Audit("utkface", {LINEAR: 8, NETWORK: 12}, works(400, 80)),
    Audit("cifar10", {LINEAR: 8, NETWORK: 4}, works(None, 150)),
    Audit("cifar100", {LINEAR: 8}, LINEAR_ONLY),
    Audit("cifar100super", {LINEAR: 8}, LINEAR_ONLY),
    Audit("adience", {LINEAR: 8, NETWORK: 12}, works(400, 80)),
    Audit("toyfaces", {LINEAR: None, NETWORK: None}, works(600, 80)),
    Audit("digits", {LINEAR: None, NETWORK: None}, works(None, None, EVERY_EPOCH)),
)
"""The paper's five datasets and the two that ship. Each at its default size, but for
Adience at 64 pixels.
"""

SIZES = {"adience": 64}

PARTITIONS = {"cifar100": ("class",), "cifar100super": ("class",)}
"""Where the paper uses fewer partitions than the dataset offers."""

QUICK_LIMIT, QUICK_SLOW, QUICK_EPOCHS = 100, 20, 2
QUICK_SMOOTHING = {**SMOOTHING, "n0": 10, "n": 50}


def quick(audit: Audit) -> Audit:
    """Return the same audit with a tiny budget: a smoke test, whose numbers mean nothing."""
    work = [
        replace(
            item,
            rows=replace(
                item.rows,
                limit=QUICK_SLOW if item.method in ("carlini_wagner", "minimal") else QUICK_LIMIT,
            ),
            epochs=("last",) if item.method == "carlini_wagner" else item.epochs,
            parameters=QUICK_SMOOTHING if item.method == "smoothing" else item.parameters,
        )
        for item in audit.work
    ]
    epochs = {
        model: None if number is None else min(number, QUICK_EPOCHS)
        for model, number in audit.epochs.items()
    }
    return Audit(audit.dataset, epochs, tuple(work))
