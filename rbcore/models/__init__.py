"""Models by name. To add one: a file in this folder that registers a `ModelSpec`, and its import below."""

from rbcore.models import linear, small_cnn, utk_classifier  # noqa: F401  (their import registers them)
from rbcore.models.base import MODELS, Model, ModelSpec, build_network

__all__ = ["MODELS", "Model", "ModelSpec", "build_network"]
