"""Every architecture, declared in the order in which pickers and listings show them.

A declaration names its code, which is imported when the network is first built.
"""

from functools import partial

from rbcore.models.base import MODELS, ModelSpec
from rbcore.registry import LazyFunction

MODELS.add(
    "small_cnn",
    ModelSpec(
        "small_cnn",
        "Small CNN",
        LazyFunction("rbcore.models.small_cnn:build"),
        "2 to 4 blocks of 3x3 convolution, ReLU, max pooling; one linear layer",
        smallest=8,
        largest=64,
        n_parameters=63_082,
    ),
)
MODELS.add(
    "logistic_regression",
    ModelSpec(
        "logistic_regression",
        "Logistic regression",
        LazyFunction("rbcore.models.linear:build"),
        "one linear layer on all pixels; exact distances",
        is_linear=True,
        n_parameters=30_730,
    ),
)
MODELS.add(
    "utk_classifier",
    ModelSpec(
        "utk_classifier",
        "UTK Classifier",
        LazyFunction("rbcore.models.utk_classifier:build"),
        "convolutions 7x7 to 32 and 5x5 to 64 with dropout and pooling, linear 256, linear",
        smallest=16,
        n_parameters=861_642,
    ),
)
MODELS.add(
    "adience_classifier",
    ModelSpec(
        "adience_classifier",
        "Adience Classifier",
        LazyFunction("rbcore.models.adience_classifier:build"),
        (
            "convolutions 7x7 to 96, 5x5 to 256, 3x3 to 384 with batch normalization and pooling, "
            "twice linear 512, linear"
        ),
        smallest=37,
        n_parameters=4_929_482,
    ),
)
MODELS.add(
    "deep_cnn",
    ModelSpec(
        "deep_cnn",
        "Deep CNN",
        LazyFunction("rbcore.models.deep_cnn:build"),
        (
            "13 convolutions 3x3 of 64 to 512 channels with batch normalization and dropout, max "
            "pooling, linear 512, linear"
        ),
        smallest=32,
        largest=32,
        n_parameters=14_991_946,
    ),
)
MODELS.add(
    "deep_cnn_cifar100",
    ModelSpec(
        "deep_cnn_cifar100",
        "Deep CNN CIFAR100",
        LazyFunction("rbcore.models.deep_cnn:build_cifar100"),
        (
            "7 convolutions 3x3 of 128 to 1024 channels, each with batch normalization without "
            "weights, max pooling, linear"
        ),
        smallest=32,
        largest=32,
        n_parameters=9_306_250,
    ),
)
MODELS.add(
    "pyramidnet110",
    ModelSpec(
        "pyramidnet110",
        "PyramidNet-110",
        LazyFunction("rbcore.models.pyramidnet:build_110"),
        (
            "PyramidNet, alpha 64, depth 110: 54 basic residual blocks, from 16 to 80 "
            "channels, mean, linear"
        ),
        smallest=8,
        n_parameters=2_616_376,
    ),
)
MODELS.add(
    "pyramidnet164",
    ModelSpec(
        "pyramidnet164",
        "PyramidNet-164",
        LazyFunction("rbcore.models.pyramidnet:build_164"),
        (
            "PyramidNet, alpha 48, depth 164: 54 bottleneck residual blocks, from 16 to 256 "
            "channels, mean, linear"
        ),
        smallest=8,
        n_parameters=1_715_442,
    ),
)
MODELS.add(
    "resnet20",
    ModelSpec(
        "resnet20",
        "ResNet-20",
        LazyFunction("rbcore.models.resnet20:build"),
        (
            "ResNet for CIFAR: 9 basic residual blocks of 16, 32 and 64 channels, shortcuts "
            "without parameters, mean, linear"
        ),
        smallest=8,
        n_parameters=269_722,
    ),
)
MODELS.add(
    "alexnet",
    ModelSpec(
        "alexnet",
        "AlexNet",
        partial(LazyFunction("rbcore.models.torchvision_models:build"), "alexnet"),
        "torchvision's AlexNet (Krizhevsky 2014): 5 convolutions, 3 linear layers",
        imagenet="AlexNet_Weights.IMAGENET1K_V1",
        last_layer="classifier.6",
        smallest=63,
        enlarged_to=224,
        n_parameters=57_044_810,
    ),
)
MODELS.add(
    "vgg19",
    ModelSpec(
        "vgg19",
        "VGG19",
        partial(LazyFunction("rbcore.models.torchvision_models:build"), "vgg19"),
        (
            "torchvision's VGG19 without batch normalization (Simonyan and Zisserman 2015): 16 "
            "convolutions, 3 linear layers"
        ),
        imagenet="VGG19_Weights.IMAGENET1K_V1",
        last_layer="classifier.6",
        smallest=32,
        enlarged_to=32,
        n_parameters=139_611_210,
    ),
)
MODELS.add(
    "resnet50",
    ModelSpec(
        "resnet50",
        "ResNet50",
        partial(LazyFunction("rbcore.models.torchvision_models:build"), "resnet50"),
        (
            "torchvision's ResNet50 (He et al. 2016): 16 bottleneck blocks with "
            "shortcuts, one linear layer"
        ),
        imagenet="ResNet50_Weights.IMAGENET1K_V1",
        last_layer="fc",
        smallest=32,
        enlarged_to=32,
        n_parameters=23_528_522,
    ),
)
MODELS.add(
    "densenet121",
    ModelSpec(
        "densenet121",
        "DenseNet121",
        partial(LazyFunction("rbcore.models.torchvision_models:build"), "densenet121"),
        (
            "torchvision's DenseNet121 (Huang et al. 2017): 4 dense blocks of 6, 12, 24 and 16 "
            "layers, one linear layer"
        ),
        imagenet="DenseNet121_Weights.IMAGENET1K_V1",
        last_layer="classifier",
        smallest=32,
        enlarged_to=32,
        n_parameters=6_964_106,
    ),
)
MODELS.add(
    "squeezenet1_0",
    ModelSpec(
        "squeezenet1_0",
        "SqueezeNet1_0",
        partial(LazyFunction("rbcore.models.torchvision_models:build"), "squeezenet1_0"),
        (
            "torchvision's SqueezeNet1_0 (Iandola et al. 2016): 8 fire modules, a 1x1 convolution "
            "to the classes, ReLU, mean"
        ),
        imagenet="SqueezeNet1_0_Weights.IMAGENET1K_V1",
        last_layer="classifier.1",
        smallest=32,
        enlarged_to=32,
        n_parameters=740_554,
    ),
)
