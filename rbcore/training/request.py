"""What a training is asked to do, declared once for notebooks, command line, jobs and forms."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import TYPE_CHECKING

from rbcore.datasets.base import DATASETS
from rbcore.errors import TrainingError
from rbcore.parameters import check_settings, setting
from rbcore.training.mitigations import Mitigation
from rbcore.training.recipes import NAMES, Recipe, recipe_for

if TYPE_CHECKING:
    from rbcore.datasets import Dataset


@dataclass(frozen=True)
class TrainingRequest:
    """Which model to train, and how; the data and the device are given beside it.

    Attributes
    ----------
    model
        Name of the architecture.
    recipe
        ``modern`` or ``paper``; see `rbcore.training.recipes`.
    epochs
        Passes over the training split; the recipe's own where none is given.
    run
        Name of the run; made of recipe, size, epochs, seed, validation split and mitigation
        where none is given.
    keep
        ``all``, 3 (first, middle, last) or N checkpoints.
    weights
        Where training starts: ``none``, random weights; ``imagenet``, or a file of these
        weights, for torchvision's models. Where nothing is said: ImageNet's if the model has
        them, as in the paper.
    mitigation
        What is done about a bias, if anything; see `rbcore.training.mitigations`. Initial weights,
        batches, augmentation and dropout are those of the plain run of the same seed, and so is
        the number of steps.
    """

    model: str = setting(MISSING, "name of a model; see: python -m rbcore models", option="model")
    recipe: str = setting(NAMES[0], "modern or paper")
    epochs: int | None = setting(None, "passes over the training images; the recipe's by default")
    run: str | None = setting(None, "name of the run; derived from its settings by default")
    keep: str = setting("all", "checkpoints to keep: all, 3 (first, middle, last) or a number")
    weights: str | None = setting(
        None, "start from: none, imagenet, or a file; imagenet where the model has them"
    )
    mitigation: Mitigation | None = None

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)

    def chosen_recipe(self, dataset: str) -> Recipe:
        """Return the recipe for a dataset of that name."""
        return recipe_for(dataset, self.model, self.recipe, self.epochs)

    def run_name(self, dataset: Dataset) -> str:
        """Return the name of the run: what sets it apart from its siblings.

        A mitigated one is named after its plain one. Where the files decide what the dataset is,
        eight digits of its fingerprint are in the name: two folders share none.
        """
        if self.run is not None:
            return self.run
        recipe = self.chosen_recipe(dataset.name)
        split = f"-val{dataset.validation:g}" if dataset.validation else ""
        plain = f"{recipe.name}-{dataset.size}px-{recipe.epochs}ep-seed{dataset.seed}{split}"
        content = f"-{dataset.fingerprint[:8]}" if DATASETS[dataset.name].is_open else ""
        return plain + content + (self.mitigation.suffix if self.mitigation else "")
