"""Robustness bias: which group lies closest to a classifier's boundary, and how sure that is.

>>> import rbcore as rb
>>> digits = rb.load_dataset("digits")
>>> model = rb.load_model("small_cnn", digits, epoch="last")
>>> distances = rb.estimate_distances(model, digits, "minimal")
>>> bias = rb.robustness_bias(distances, by="class")

A public name is imported when it is first used, so that ``import rbcore`` costs next to nothing and
whoever reads stored tables needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rbcore import charts as charts
    from rbcore.datasets import load_dataset as load_dataset
    from rbcore.distances.estimate import estimate_distances as estimate_distances
    from rbcore.distances.estimate import estimate_rows as estimate_rows
    from rbcore.distances.perturbed import perturbed_images as perturbed_images
    from rbcore.distances.stored import stored_distances as stored_distances
    from rbcore.distances.stored import stored_methods as stored_methods
    from rbcore.errors import RobustnessBiasError as RobustnessBiasError
    from rbcore.inference import robustness_bias as robustness_bias
    from rbcore.measures import Policy as Policy
    from rbcore.runs.checkpoints import list_runs as list_runs
    from rbcore.runs.importing import import_weights as import_weights
    from rbcore.runs.loading import load_model as load_model
    from rbcore.runs.loading import open_run as open_run
    from rbcore.sampling import Rows as Rows
    from rbcore.store.verify import verify as verify
    from rbcore.training.mitigations import AdversarialTraining as AdversarialTraining
    from rbcore.training.mitigations import Regularizer as Regularizer
    from rbcore.training.mitigations import Reweighting as Reweighting
    from rbcore.training.train import train as train
    from rbcore.wording import statuses_in_words as statuses_in_words
    from rbcore.wording import verdict as verdict

MODULES = {
    "AdversarialTraining": "rbcore.training.mitigations",
    "Policy": "rbcore.measures",
    "Regularizer": "rbcore.training.mitigations",
    "Reweighting": "rbcore.training.mitigations",
    "RobustnessBiasError": "rbcore.errors",
    "Rows": "rbcore.sampling",
    "charts": "rbcore.charts",
    "estimate_distances": "rbcore.distances.estimate",
    "estimate_rows": "rbcore.distances.estimate",
    "import_weights": "rbcore.runs.importing",
    "list_runs": "rbcore.runs.checkpoints",
    "load_dataset": "rbcore.datasets",
    "load_model": "rbcore.runs.loading",
    "open_run": "rbcore.runs.loading",
    "perturbed_images": "rbcore.distances.perturbed",
    "robustness_bias": "rbcore.inference",
    "statuses_in_words": "rbcore.wording",
    "stored_distances": "rbcore.distances.stored",
    "stored_methods": "rbcore.distances.stored",
    "train": "rbcore.training.train",
    "verdict": "rbcore.wording",
    "verify": "rbcore.store.verify",
}
"""Where each public name is defined; a module is its own."""

__all__ = sorted(MODULES)


def __getattr__(name: str) -> object:
    """Import a public name from its module and keep it."""
    if name not in MODULES:
        raise AttributeError(f"module 'rbcore' has no attribute {name!r}")
    module = import_module(MODULES[name])
    found: object = module if module.__name__ == f"rbcore.{name}" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
