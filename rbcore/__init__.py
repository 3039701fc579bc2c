"""Robustness bias: which group lies closest to a classifier's decision boundary, and how sure that is.

>>> import rbcore as rb
>>> digits = rb.load_dataset("digits")
>>> model = rb.load_model("small_cnn", digits, epoch="last")
>>> distances = rb.estimate_distances(model, digits, "minimal")
>>> bias = rb.robustness_bias(distances, by="class")
"""

from rbcore import charts
from rbcore.api import (
    estimate_distances,
    load_model,
    open_run,
    perturbed_images,
    stored_distances,
    stored_methods,
)
from rbcore.datasets import load_dataset
from rbcore.distances.outcomes import outcomes_in_words
from rbcore.errors import RobustnessBiasError
from rbcore.importing import import_weights
from rbcore.inference import robustness_bias, verdict
from rbcore.measures import Policy
from rbcore.mitigations import AdversarialTraining, Regularizer, Reweighting
from rbcore.models.checkpoints import list_runs
from rbcore.training import train
from rbcore.verification import verify

__all__ = [
    "AdversarialTraining",
    "Policy",
    "Regularizer",
    "Reweighting",
    "RobustnessBiasError",
    "charts",
    "estimate_distances",
    "import_weights",
    "list_runs",
    "load_dataset",
    "load_model",
    "open_run",
    "outcomes_in_words",
    "perturbed_images",
    "robustness_bias",
    "stored_distances",
    "stored_methods",
    "train",
    "verdict",
    "verify",
]
