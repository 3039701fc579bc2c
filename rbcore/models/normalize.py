"""The first layer of every network: images in [0, 1] become what it was trained on."""

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """Subtract a mean and divide by a standard deviation a channel, in units of [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return normalized images of the same shape (n, channels, height, width)."""
        return (images - self.mean) / self.std
