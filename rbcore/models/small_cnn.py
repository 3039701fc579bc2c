"""A small convolutional network for images of 8x8 to 64x64 pixels, quick to train on a laptop."""

from torch import nn

from rbcore.errors import ModelError
from rbcore.models.base import MODELS, ModelSpec, Shape

CHANNELS = (16, 32, 64, 64)
SMALLEST, LARGEST = 8, 64


def build(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build blocks of 3x3 convolution, ReLU and 2x2 max pooling until at most 4x4 pixels are left, then one linear layer.

    8x8 digits: 2 blocks, 6,090 parameters. 64x64 colour images of 5 classes: 4 blocks, 65,637 parameters.
    """
    channels, height, width = input_shape
    if not (min(height, width) >= SMALLEST and max(height, width) <= LARGEST):
        raise ModelError(
            f"small_cnn takes images of {SMALLEST} to {LARGEST} pixels, not {height}x{width}; load another size."
        )
    n_blocks = 2 if max(height, width) < 16 else 3 if max(height, width) < 32 else 4
    layers: list[nn.Module] = []
    for out in CHANNELS[:n_blocks]:
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = out
    n_features = channels * (height >> n_blocks) * (width >> n_blocks)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_features, n_classes))


MODELS.add(
    "small_cnn",
    ModelSpec("small_cnn", "Small CNN", build, "2 to 4 blocks of 3x3 convolution, ReLU, max pooling; one linear layer"),
)
