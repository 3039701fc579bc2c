"""A small convolutional network for images of 8x8 to 64x64 pixels, quick to train on a laptop."""

from torch import nn

from rbcore.models.base import Shape

CHANNELS = (16, 32, 64, 64)


def build(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build blocks of 3x3 convolution, ReLU and 2x2 max pooling, then one linear layer.

    There are blocks until at most 4 pixels are left of a side.

    8x8 digits: 2 blocks, 6,090 parameters. 64x64 color images of 5 classes: 4 blocks,
    65,637 parameters.
    """
    channels, height, width = input_shape
    n_blocks = 2 if min(height, width) < 16 else 3 if min(height, width) < 32 else 4
    layers: list[nn.Module] = []
    for out in CHANNELS[:n_blocks]:
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = out
    n_features = channels * (height >> n_blocks) * (width >> n_blocks)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_features, n_classes))
