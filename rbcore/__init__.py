"""Robustness bias: which group lies closest to a classifier's decision boundary, and how sure that is.

>>> import rbcore as rb
>>> digits = rb.load_dataset("digits")
>>> model = rb.load_model("small_cnn", digits, epoch="last")
>>> distances = rb.estimate_distances(model, digits, "minimal")
>>> bias = rb.robustness_bias(distances, by="class")
"""

from rbcore import charts
from rbcore.datasets import load_dataset
from rbcore.distances.estimate import estimate_distances, estimate_rows
from rbcore.distances.perturbed import perturbed_images
from rbcore.distances.statuses import statuses_in_words
from rbcore.distances.stored import stored_distances, stored_methods
from rbcore.errors import RobustnessBiasError
from rbcore.inference import robustness_bias
from rbcore.measures import Policy
from rbcore.runs.checkpoints import list_runs
from rbcore.runs.importing import import_weights
from rbcore.runs.loading import load_model, open_run
from rbcore.sampling import Rows
from rbcore.store.verify import verify
from rbcore.training.mitigations import AdversarialTraining, Regularizer, Reweighting
from rbcore.training.train import train
from rbcore.wording import verdict

__all__ = [
    "AdversarialTraining",
    "Policy",
    "Regularizer",
    "Reweighting",
    "RobustnessBiasError",
    "Rows",
    "charts",
    "estimate_distances",
    "estimate_rows",
    "import_weights",
    "list_runs",
    "load_dataset",
    "load_model",
    "open_run",
    "perturbed_images",
    "robustness_bias",
    "statuses_in_words",
    "stored_distances",
    "stored_methods",
    "train",
    "verdict",
    "verify",
]
