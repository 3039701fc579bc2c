"""UTK Classifier, which the paper trains from scratch on UTKFace (section 5; 200x200 pixels)."""

from torch import nn

from rbcore.models.base import Shape


def build(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build two blocks of convolution (7x7 to 32, 5x5 to 64), ReLU, dropout, pooling.

    Then linear 256 and the classes.
    """
    channels, height, width = input_shape
    height, width = (((side - 2) // 2) // 2 for side in (height, width))
    return nn.Sequential(
        nn.Conv2d(channels, 32, 7, padding=2),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * height * width, 256),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(256, n_classes),
    )
