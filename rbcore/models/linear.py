"""Multinomial logistic regression: the one model whose distance to the boundary has a closed form (paper, section 6)."""

from math import prod

from torch import nn

from rbcore.models.base import MODELS, ModelSpec, Shape


def build(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build one linear layer on the flattened image."""
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), n_classes))


MODELS.add(
    "logistic_regression",
    ModelSpec(
        "logistic_regression",
        "Logistic regression",
        build,
        "one linear layer on all pixels; exact distances",
        is_linear=True,
    ),
)
