"""ResNet-20 for CIFAR (He et al. 2016, section 4.2) with option A: shortcuts without parameters.

Its layers are called as in the checkpoints of github.com/akamaster/pytorch_resnet_cifar10.
"""

from torch import Tensor, nn

from rbcore.models.base import Shape

WIDTHS = (16, 32, 64)
BLOCKS_PER_STAGE = 3


class BasicBlock(nn.Module):
    """Two 3x3 convolutions on top of a shortcut.

    It takes every second pixel where the stride is 2, and is padded with zero channels.
    """

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride = stride
        self.n_padding = (width - before) // 2

    def forward(self, images: Tensor) -> Tensor:
        """Return images of shape (n, width, height / stride, width / stride)."""
        shortcut = images[:, :, :: self.stride, :: self.stride]
        shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, self.n_padding, self.n_padding))
        residual = nn.functional.relu(self.bn1(self.conv1(images)))
        residual = self.bn2(self.conv2(residual))
        return nn.functional.relu(residual + shortcut)


class ResNet20(nn.Module):
    """A convolution, three stages of three blocks, the mean, a linear layer."""

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _stage(WIDTHS[0], WIDTHS[0], stride=1)
        self.layer2 = _stage(WIDTHS[0], WIDTHS[1], stride=2)
        self.layer3 = _stage(WIDTHS[1], WIDTHS[2], stride=2)
        self.linear = nn.Linear(WIDTHS[2], n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images, shape (n, channels, height, width), into logits, shape (n, n_classes)."""
        features = nn.functional.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        logits: Tensor = self.linear(features.mean((2, 3)))
        return logits


def _stage(before: int, width: int, stride: int) -> nn.Sequential:
    later = [BasicBlock(width, width, 1) for _ in range(BLOCKS_PER_STAGE - 1)]
    return nn.Sequential(BasicBlock(before, width, stride), *later)


def build(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build ResNet-20, defined for 32x32 pixels; its mean over all pixels takes any size."""
    return ResNet20(input_shape[0], n_classes)
