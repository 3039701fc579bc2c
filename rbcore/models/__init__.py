"""Models by name.

To add one: a file in this folder with its ``build``, and a `ModelSpec` in
`rbcore.models.architectures`.
"""

from rbcore.models import architectures  # noqa: F401  (declares them)
from rbcore.models.base import MODELS, Model, ModelSpec, build_network

__all__ = ["MODELS", "Model", "ModelSpec", "build_network"]
