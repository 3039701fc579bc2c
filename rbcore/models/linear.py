"""Multinomial logistic regression: the one model with exact distances (paper, section 6)."""

from math import prod

from torch import nn

from rbcore.models.base import Shape


def build(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build one linear layer on the flattened image."""
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), n_classes))
