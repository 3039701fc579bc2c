"""PyramidNet (Han et al. 2017): channels grow by the same amount in every block."""

from collections import OrderedDict

from torch import Tensor, nn

from rbcore.models.base import Shape

STAGES = 3
FIRST_WIDTH = 16
EXPANSION = 4
"""Output channels of a bottleneck block, as a multiple of its width."""


class PyramidBlock(nn.Module):
    """A residual on top of a shortcut without parameters.

    It is averaged where the stride is 2, and padded with zero channels.
    """

    def __init__(self, residual: nn.Module, n_new_channels: int, stride: int) -> None:
        super().__init__()
        self.residual = residual
        self.n_new_channels = n_new_channels
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        """Return shape (n, channels + n_new_channels, height / stride, width / stride)."""
        shortcut = images
        if self.stride == 2:
            shortcut = nn.functional.avg_pool2d(shortcut, 2, ceil_mode=True)
        shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, 0, self.n_new_channels))
        residual: Tensor = self.residual(images)
        return residual + shortcut


def pyramidnet(
    channels: int, n_classes: int, *, depth: int, alpha: int, bottleneck: bool
) -> nn.Module:
    """Build a PyramidNet for CIFAR.

    Parameters
    ----------
    channels, n_classes
        Of the images; of the logits.
    depth
        Convolutions along the longest way, and the linear layer: 2 + 6 per block and stage,
        9 with bottlenecks.
    alpha
        Channels gained from the first block to the last (the paper's widening factor).
    bottleneck
        Whether a block is 1x1, 3x3, 1x1 to four times its width, instead of 3x3, 3x3.
    """
    per_stage = (depth - 2) // (9 if bottleneck else 6)
    n_blocks = STAGES * per_stage
    layers: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(channels, FIRST_WIDTH, 3, padding=1, bias=False)),
        ("bn", nn.BatchNorm2d(FIRST_WIDTH)),
    ]
    before = FIRST_WIDTH
    for number in range(n_blocks):
        width = FIRST_WIDTH + round(alpha * (number + 1) / n_blocks)
        stride = 2 if number in (per_stage, 2 * per_stage) else 1
        after = EXPANSION * width if bottleneck else width
        residual = (
            _bottleneck(before, width, stride) if bottleneck else _basic(before, width, stride)
        )
        layers.append((f"block{number + 1}", PyramidBlock(residual, after - before, stride)))
        before = after
    layers += [
        ("bn_last", nn.BatchNorm2d(before)),
        ("relu", nn.ReLU()),
        ("pool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("linear", nn.Linear(before, n_classes)),
    ]
    network = nn.Sequential(OrderedDict(layers))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _basic(before: int, width: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm2d(before),
        nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    )


def _bottleneck(before: int, width: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm2d(before),
        nn.Conv2d(before, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, EXPANSION * width, 1, bias=False),
        nn.BatchNorm2d(EXPANSION * width),
    )


def build_110(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build the paper's PyramidNet for CIFAR-10: 54 basic blocks, 16 to 80 channels."""
    return pyramidnet(input_shape[0], n_classes, depth=110, alpha=64, bottleneck=False)


def build_164(input_shape: Shape, n_classes: int) -> nn.Module:
    """Build the paper's PyramidNet for CIFAR-100: 54 bottleneck blocks, 256 features."""
    return pyramidnet(input_shape[0], n_classes, depth=164, alpha=48, bottleneck=True)
