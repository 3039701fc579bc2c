"""Adience Classifier, which the paper trains from scratch on Adience (section 5; 224x224 pixels).

After Levi and Hassner 2015, "Age and Gender Classification using Convolutional Neural Networks",
with batch normalization and without strides, as in the paper's released code.
"""

from torch import nn

from rbcore.models.base import Shape

CONVOLUTIONS = ((96, 7), (256, 5), (384, 3))
"""Output channels and kernel size."""


def build(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build three times convolution, batch normalization, ReLU, 3x3 max pooling of stride 2.

    Then three linear layers.
    """
    channels, height, width = input_shape
    layers: list[nn.Module] = []
    for out, kernel in CONVOLUTIONS:
        layers += [
            nn.Conv2d(channels, out, kernel),
            nn.BatchNorm2d(out, eps=1e-3),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        ]
        channels = out
        height, width = ((side - kernel + 1 - 3) // 2 + 1 for side in (height, width))
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * height * width, 512),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(512, 512),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(512, n_classes),
    )
