"""Models by name.

To add one: a file in this folder that registers a `ModelSpec`, and its import below.
"""

# Their import registers them, in this order.
from rbcore.models import small_cnn, linear, utk_classifier  # noqa: F401, I001
from rbcore.models import adience_classifier, deep_cnn, pyramidnet, resnet20, torchvision_models  # noqa: F401
from rbcore.models.base import MODELS, Model, ModelSpec, build_network

__all__ = ["MODELS", "Model", "ModelSpec", "build_network"]
