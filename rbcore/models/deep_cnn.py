"""Deep CNN and Deep CNN CIFAR100, which the paper trains from scratch on CIFAR (section 5)."""

from torch import nn

from rbcore.models.base import Shape

BLOCKS = (
    ((64, 0.3), (64, 0.0)),
    ((128, 0.4), (128, 0.0)),
    ((256, 0.4), (256, 0.4), (256, 0.0)),
    ((512, 0.4), (512, 0.4), (512, 0.0)),
    ((512, 0.4), (512, 0.4), (512, 0.0)),
)
"""Deep CNN: output channels and dropout of each convolution; a 2x2 max pooling ends each block."""

BLOCKS_CIFAR100 = (((128, 1), (128, 1)), ((256, 1), (256, 1)), ((512, 1), (512, 1)), ((1024, 0),))
"""Deep CNN CIFAR100: output channels and padding of each convolution; a 2x2 max pooling
ends each block.
"""


def build(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build Deep CNN: 13 convolutions, 2 linear layers.

    torch.ch/blog/2015/07/30/cifar.html, in the layers of the paper.
    """
    channels, _, _ = input_shape
    layers: list[nn.Module] = []
    for block in BLOCKS:
        for out, dropout in block:
            layers += [
                nn.Conv2d(channels, out, 3, padding=1),
                nn.BatchNorm2d(out, eps=1e-3),
                nn.ReLU(),
            ]
            if dropout:
                layers.append(nn.Dropout(dropout))
            channels = out
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(512, 512),
        nn.BatchNorm1d(512),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(512, n_classes),
    )


def build_cifar100(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build Deep CNN CIFAR100: 7 convolutions, 1 linear layer.

    github.com/aaron-xichen/pytorch-playground, cifar/model.py.
    """
    channels, _, _ = input_shape
    layers: list[nn.Module] = []
    for block in BLOCKS_CIFAR100:
        for out, padding in block:
            layers += [
                nn.Conv2d(channels, out, 3, padding=padding),
                nn.BatchNorm2d(out, affine=False),
                nn.ReLU(),
            ]
            channels = out
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, n_classes))
