"""Five networks as torchvision defines them, with a last layer for our classes.

The paper starts them from ImageNet weights (section 5; `rbcore.runs.imagenet`) and gives them
images of 32x32 pixels as they are, except AlexNet, whose layers need 63: its 32x32 images are
enlarged to 224x224, here inside the network.
"""

from collections import OrderedDict

from torch import Tensor, nn

from rbcore.errors import ModelError
from rbcore.models.base import MODELS, Shape
from rbcore.models.torchvision_import import torchvision_models


class Enlarge(nn.Module):
    """Enlarge images to a fixed height and width, bilinearly; there is nothing to train."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return images of shape (n, channels, *size)."""
        return nn.functional.interpolate(
            images, size=self.size, mode="bilinear", align_corners=False
        )


class GrayToColor(nn.Module):
    """Repeat the one channel of gray images three times."""

    def forward(self, images: Tensor) -> Tensor:
        """Turn shape (n, 1, height, width) into (n, 3, height, width)."""
        return images.expand(-1, 3, -1, -1)


def build(name: str, input_shape: Shape, n_classes: int) -> nn.Module:
    """Build what adapts the images, ``adapt``, and torchvision's untrained ``backbone``."""
    spec = MODELS[name]
    channels, height, width = input_shape
    if channels not in (1, 3):
        raise ModelError(
            f"{name} takes gray or color images, of 1 or 3 channels, not of {channels}."
        )
    adapt = nn.Sequential()
    if spec.enlarged_to is not None and min(height, width) < spec.smallest:
        scale = spec.enlarged_to / min(height, width)
        adapt.append(Enlarge((round(scale * height), round(scale * width))))
    if channels == 1:
        adapt.append(GrayToColor())
    backbone = torchvision_models().get_model(name, weights=None, num_classes=n_classes)
    return nn.Sequential(OrderedDict(adapt=adapt, backbone=backbone))
