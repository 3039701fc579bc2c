"""Networks whose boundary is known, for tests: images of shape (n, 1, 1, d)."""

import numpy as np
import torch
from torch import nn


def linear_network(weights, biases) -> nn.Module:
    """A linear classifier with the given weights (n_classes, d) and biases (n_classes,)."""
    weights = torch.as_tensor(np.asarray(weights))
    layer = nn.Linear(weights.shape[1], weights.shape[0], dtype=weights.dtype)
    with torch.no_grad():
        layer.weight.copy_(weights)
        layer.bias.copy_(torch.as_tensor(np.asarray(biases)))
    return nn.Sequential(nn.Flatten(), layer)


def as_images(points) -> np.ndarray:
    """Points (n, d) as images (n, 1, 1, d)."""
    points = np.asarray(points)
    return points.reshape(len(points), 1, 1, -1)


def smooth_network(dtype=torch.float32, n_classes=3, d=6, seed=0) -> nn.Module:
    """A small smooth network with three classes, fixed by its seed."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(d, 16), nn.Tanh(), nn.Linear(16, n_classes)).to(
        dtype
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(dtype)
            )
    return network
