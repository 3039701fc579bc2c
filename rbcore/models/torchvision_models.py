"""AlexNet, VGG19, ResNet50, DenseNet121 and SqueezeNet1_0 as torchvision defines them, with a last layer for our classes.

The paper starts them from ImageNet weights (section 5; `rbcore.runs.imagenet`) and gives them
images of 32x32 pixels as they are, except AlexNet, whose layers need 63: its 32x32 images are
enlarged to 224x224, here inside the network.
"""

from collections import OrderedDict

from torch import Tensor, nn

from rbcore.errors import ModelError
from rbcore.models.base import MODELS, ModelSpec, Shape
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
    """Build what adapts the images, ``adapt``, and the untrained network of torchvision, ``backbone``."""
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


def _register(
    name: str,
    title: str,
    layers: str,
    *,
    imagenet: str,
    last_layer: str,
    smallest: int = 32,
    enlarged_to: int = 32,
) -> None:
    MODELS.add(
        name,
        ModelSpec(
            name,
            title,
            lambda input_shape, n_classes: build(name, input_shape, n_classes),
            layers,
            smallest=smallest,
            enlarged_to=enlarged_to,
            imagenet=imagenet,
            last_layer=last_layer,
        ),
    )


_register(
    "alexnet",
    "AlexNet",
    "torchvision's AlexNet (Krizhevsky 2014): 5 convolutions, 3 linear layers",
    imagenet="AlexNet_Weights.IMAGENET1K_V1",
    last_layer="classifier.6",
    smallest=63,
    enlarged_to=224,
)
_register(
    "vgg19",
    "VGG19",
    (
        "torchvision's VGG19 without batch normalization (Simonyan and Zisserman 2015): 16 "
        "convolutions, 3 linear layers"
    ),
    imagenet="VGG19_Weights.IMAGENET1K_V1",
    last_layer="classifier.6",
)
_register(
    "resnet50",
    "ResNet50",
    (
        "torchvision's ResNet50 (He et al. 2016): 16 bottleneck blocks with "
        "shortcuts, one linear layer"
    ),
    imagenet="ResNet50_Weights.IMAGENET1K_V1",
    last_layer="fc",
)
_register(
    "densenet121",
    "DenseNet121",
    (
        "torchvision's DenseNet121 (Huang et al. 2017): 4 dense blocks of 6, 12, 24 and 16 "
        "layers, one linear layer"
    ),
    imagenet="DenseNet121_Weights.IMAGENET1K_V1",
    last_layer="classifier",
)
_register(
    "squeezenet1_0",
    "SqueezeNet1_0",
    (
        "torchvision's SqueezeNet1_0 (Iandola et al. 2016): 8 fire modules, a 1x1 convolution to "
        "the classes, ReLU, mean"
    ),
    imagenet="SqueezeNet1_0_Weights.IMAGENET1K_V1",
    last_layer="classifier.1",
)
