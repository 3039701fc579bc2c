"""One contract for all architectures: registering a model is what tests it."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from rbcore.distances import resolve_method
from rbcore.distances.engine import estimate_arrays
from rbcore.errors import ModelError, UnknownNameError
from rbcore.models import MODELS, build_network
from rbcore.models.normalize import Normalize
from rbcore.models.pyramidnet import PyramidBlock, pyramidnet
from rbcore.models.resnet20 import BasicBlock
from rbcore.models.torchvision_import import torchvision_models
from rbcore.models.torchvision_models import Enlarge

N_CLASSES = 5
TORCHVISION = ("alexnet", "vgg19", "resnet50", "densenet121", "squeezenet1_0")

# Worked out from the published descriptions: weights and biases of every layer.
PARAMETERS = {
    ("logistic_regression", (1, 8, 8), 10): 64 * 10 + 10,
    ("small_cnn", (1, 8, 8), 10): (9 * 16 + 16) + (9 * 16 * 32 + 32) + (32 * 2 * 2 * 10 + 10),
    ("small_cnn", (3, 64, 64), 5): (27 * 16 + 16)
    + (9 * 16 * 32 + 32)
    + (9 * 32 * 64 + 64)
    + (9 * 64 * 64 + 64)
    + (64 * 4 * 4 * 5 + 5),
    # 200 px: 7x7 with padding 2 leaves 198, pooled 99; 5x5 with padding 2 leaves 99, pooled 49. 64
    # px: 62, 31, 31, 15.
    ("utk_classifier", (3, 200, 200), 5): (3 * 49 * 32 + 32)
    + (32 * 25 * 64 + 64)
    + (64 * 49 * 49 * 256 + 256)
    + (256 * 5 + 5),
    ("utk_classifier", (3, 64, 64), 5): (3 * 49 * 32 + 32)
    + (32 * 25 * 64 + 64)
    + (64 * 15 * 15 * 256 + 256)
    + (256 * 5 + 5),
    # 224 px: 7x7 leaves 218, pooled 108; 5x5 leaves 104, pooled 51; 3x3 leaves 49, pooled 24. Three
    # parameters a channel: the bias, and scale and shift of the batch normalization.
    ("adience_classifier", (3, 224, 224), 8): (3 * 49 * 96 + 3 * 96)
    + (96 * 25 * 256 + 3 * 256)
    + (256 * 9 * 384 + 3 * 384)
    + (384 * 24 * 24 * 512 + 512)
    + (512 * 512 + 512)
    + (512 * 8 + 8),
    # Three parameters a channel, as above; 1x1 pixel of 512 channels is left of 32x32.
    ("deep_cnn", (3, 32, 32), 10): 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    + 9 * (128 * 256 + 256 * 256 + 256 * 256 + 256 * 512 + 5 * 512 * 512)
    + 3 * (2 * 64 + 2 * 128 + 3 * 256 + 6 * 512)
    + (512 * 512 + 512 + 2 * 512)
    + (512 * 10 + 10),
    # The batch normalization has no parameters.
    ("deep_cnn_cifar100", (3, 32, 32), 100): 9 * (3 * 128 + 128 * 128 + 128 * 256 + 256 * 256)
    + 9 * (256 * 512 + 512 * 512 + 512 * 1024)
    + (2 * 128 + 2 * 256 + 2 * 512 + 1024)
    + (1024 * 100 + 100),
    # He et al.: 0.27 million. Convolutions without bias, batch normalization of two a channel,
    # shortcuts of none.
    ("resnet20", (3, 32, 32), 10): 9
    * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    + 2 * (7 * 16 + 6 * 32 + 6 * 64)
    + (64 * 10 + 10),
    # Widths w = 16 + round(64 k / 54), k = 1..54, after v = the width before:
    # 27*16 + 2*16 + sum(2v + 9vw + 2w + 9ww + 2w) + 2*80 + 80*10 + 10.
    ("pyramidnet110", (3, 32, 32), 10): 2_616_376,
    # Widths w = 16 + round(48 k / 54), k = 1..54, blocks give 4w, after v = what the block before
    # gives: 27*16 + 2*16 + sum(2v + vw + 2w + 9ww + 2w + 4ww + 8w) + 2*256 + 256*100 + 100.
    ("pyramidnet164", (3, 32, 32), 100): 1_738_572,
    # torchvision's documented totals for 1000 classes, with a last layer for 10 instead.
    ("alexnet", (3, 32, 32), 10): 61_100_840 - 990 * (4096 + 1),
    ("vgg19", (3, 32, 32), 10): 143_667_240 - 990 * (4096 + 1),
    ("resnet50", (3, 32, 32), 10): 25_557_032 - 990 * (2048 + 1),
    ("densenet121", (3, 32, 32), 10): 7_978_856 - 990 * (1024 + 1),
    ("squeezenet1_0", (3, 32, 32), 10): 1_248_424 - 990 * (512 + 1),
}


def n_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def build(name, shape, n_classes=N_CLASSES, seed=0):
    torch.manual_seed(seed)
    return build_network(name, shape, n_classes, (0.5,) * shape[0], (0.25,) * shape[0])


def build_on_meta(name, shape, n_classes=N_CLASSES):
    """Shapes only, which costs no time."""
    with torch.device("meta"):
        return build(name, shape, n_classes).eval()


def logits_shape_on_meta(name, shape):
    with torch.device("meta"):
        return tuple(build_on_meta(name, shape)(torch.empty(2, *shape)).shape)


def without_dropout(network):
    """Training mode, but the same loss for the same weights."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return network


def score(logits):
    """A number for each image that depends on all logits."""
    return logits @ torch.arange(1.0, N_CLASSES + 1)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """For four small images, threads would mostly wait for each other, above all on
    a busy machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


LARGE = ("vgg19", "densenet121", "pyramidnet110", "pyramidnet164")
"""Models whose tests take seconds each."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in MODELS],
)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def batch(name):
    """Four images of the smallest size that the layers take, from dark to bright,
    and their classes.
    """
    side = max(8, MODELS[name].smallest)
    generator = torch.Generator().manual_seed(0)
    brightness = torch.tensor([0.1, 0.4, 0.7, 1.0]).view(4, 1, 1, 1)
    return brightness * torch.rand(4, 3, side, side, generator=generator), torch.arange(4)


@pytest.fixture(scope="module")
def untrained(name, batch):
    return build(name, tuple(batch[0].shape[1:])).eval()


@pytest.fixture(scope="module")
def trained(untrained, batch):
    """A deep copy after five steps, and the losses before each step and after the last."""
    images, labels = batch
    network = without_dropout(copy.deepcopy(untrained))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.002)
    losses = []
    for step in range(6):
        loss = nn.functional.cross_entropy(network(images), labels)
        losses.append(loss.item())
        if step < 5:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network, losses


def test_maps_images_to_logits_with_gradients(untrained, batch):
    images = batch[0].clone().requires_grad_()
    logits = untrained(images)
    assert logits.shape == (4, N_CLASSES) and logits.dtype == torch.float32
    (gradient,) = torch.autograd.grad(score(logits).sum(), images)
    assert gradient.isfinite().all() and gradient.flatten(1).any(1).all()


def test_the_gradient_at_the_image_can_be_trained(untrained, batch):
    network = without_dropout(untrained)
    images = batch[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(network(images)).sum(), images, create_graph=True)
    parameters = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    seconds = torch.autograd.grad(gradient.square().sum(), parameters)
    network.eval()
    assert all(second.isfinite().all() for second in seconds)
    assert seconds[0].any() and seconds[-1].any()


def test_five_steps_on_a_batch_lower_its_loss(trained):
    _, losses = trained
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_a_deep_copy_is_trained_alone_and_a_seed_fixes_the_weights(untrained, trained, name, batch):
    shape = tuple(batch[0].shape[1:])
    again = build(name, shape).state_dict()
    weights = [key for key, _ in untrained.named_parameters()]
    assert all(
        torch.equal(parameter, again[key]) for key, parameter in untrained.named_parameters()
    )
    assert any(not torch.equal(trained[0].state_dict()[key], again[key]) for key in weights)
    other = build(name, shape, seed=1).state_dict()
    assert any(not torch.equal(other[key], again[key]) for key in weights)


def test_every_image_gets_a_distance(trained, batch):
    network = trained[0]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    images = batch[0][[0, 3]]
    with torch.no_grad():
        network(batch[0])  # five steps leave the running statistics far from those of the batch
        center = network.eval()(images).mean(
            0
        )  # and all images in one class; around the center there are two
        labels = (network(images) - center).argmax(1).numpy()
    method, parameters = resolve_method("deepfool", {"steps": 3, "candidates": 2})
    found = estimate_arrays(
        lambda x: network(x) - center, images.numpy(), labels, method, parameters
    )
    assert labels[0] != labels[1]
    assert set(found.status) <= {"found", "fallback"}
    assert (found.distance > 0).all() and found.perturbed.shape == images.shape


@pytest.mark.parametrize(("name_", "shape", "n_classes"), PARAMETERS, ids=str)
def test_parameter_counts_are_those_of_the_description(name_, shape, n_classes):
    assert (
        n_parameters(build_on_meta(name_, shape, n_classes)) == PARAMETERS[name_, shape, n_classes]
    )


@pytest.mark.parametrize("name_", list(MODELS))
def test_the_declared_parameter_count_is_that_of_the_network(name_):
    spec = MODELS[name_]
    size = spec.usual_size
    assert spec.n_parameters == n_parameters(build_on_meta(name_, (3, size, size), 10))


def test_every_model_has_its_parameters_counted():
    assert {name for name, _, _ in PARAMETERS} == set(MODELS)


@pytest.mark.parametrize(
    ("depth", "alpha", "bottleneck", "count"),
    [
        (110, 48, False, 1_772_706),
        (110, 84, False, 3_904_446),
        (164, 270, True, 27_216_021),
        (272, 200, True, 26_210_842),
    ],
)
def test_pyramidnets_have_the_sizes_of_another_implementation(depth, alpha, bottleneck, count):
    """Counts as github.com/osmr/imgclsmob documents them for CIFAR-10."""
    with torch.device("meta"):
        assert (
            n_parameters(pyramidnet(3, 10, depth=depth, alpha=alpha, bottleneck=bottleneck))
            == count
        )


def test_small_cnn_is_small_on_digits():
    assert n_parameters(build("small_cnn", (1, 8, 8), 10)) <= 15_000


@pytest.mark.parametrize("side", range(8, 65, 7))
def test_small_cnn_takes_every_size_it_promises(side):
    network = build("small_cnn", (3, side, side), 4)
    assert network(torch.rand(2, 3, side, side)).shape == (2, 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_takes_gray_and_color_images_of_the_sizes_it_promises(name, channels):
    spec = MODELS[name]
    smallest, largest = 1 if spec.enlarged_to else spec.smallest, spec.largest or 230
    for height, width in [
        (smallest, smallest),
        (smallest, largest),
        (smallest + 13, smallest),
        (largest, largest),
    ]:
        if spec.takes(height, width):
            assert logits_shape_on_meta(name, (channels, height, width)) == (2, N_CLASSES), (
                height,
                width,
            )
    assert spec.takes(smallest, smallest) and spec.takes(largest, largest)


def test_says_which_sizes_it_takes(name):
    spec = MODELS[name]
    assert spec.description == f"{spec.layers}; {spec.sizes}"
    assert spec.smallest == 1 or str(spec.smallest) in spec.sizes
    assert spec.enlarged_to is None or f"enlarged inside to {spec.enlarged_to}" in spec.sizes


def test_normalization_is_the_first_layer_and_in_the_checkpoint():
    network = build_network("logistic_regression", (2, 4, 4), 3, (0.5, 0.2), (0.5, 0.1))
    assert isinstance(network[0], Normalize)
    assert {"normalize.mean", "normalize.std"} <= set(network.state_dict())
    image = torch.tensor([1.0, 0.3]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    torch.testing.assert_close(network[0](image), torch.ones(1, 2, 4, 4))


@pytest.mark.parametrize(
    ("name_", "shape", "said"),
    [
        ("small_cnn", (1, 200, 200), "8 to 64 pixels, not 200x200"),
        ("small_cnn", (1, 7, 7), "8 to 64 pixels, not 7x7"),
        ("small_cnn", (1, 8, 65), "8 to 64 pixels, not 8x65"),
        ("utk_classifier", (3, 15, 15), "at least 16 pixels, not 15x15"),
        ("adience_classifier", (3, 36, 224), "at least 37 pixels, not 36x224"),
        ("deep_cnn", (3, 31, 32), "32x32 pixels only, not 31x32"),
        ("deep_cnn", (3, 64, 64), "32x32 pixels only, not 64x64"),
        ("deep_cnn_cifar100", (1, 28, 28), "32x32 pixels only, not 28x28"),
        ("pyramidnet110", (1, 7, 7), "at least 8 pixels, not 7x7"),
        ("resnet20", (1, 7, 7), "at least 8 pixels, not 7x7"),
        ("alexnet", (4, 64, 64), "1 or 3 channels, not of 4"),
    ],
)
def test_images_that_do_not_fit_are_refused_by_name(name_, shape, said):
    with pytest.raises(ModelError, match=f"^{name_} takes .*{said}"):
        build(name_, shape)


@pytest.mark.parametrize("name_", TORCHVISION)
def test_images_are_enlarged_where_torchvision_says_they_are_too_small(name_):
    spec = MODELS[name_]
    needed = torchvision_models().get_weight(spec.imagenet).meta["min_size"]
    assert max(needed) <= spec.smallest <= spec.enlarged_to
    sizes = {
        (height, width): [
            module.size
            for module in build_on_meta(name_, (1, height, width)).modules()
            if isinstance(module, Enlarge)
        ]
        for height, width in [(8, 8), (8, 24), (spec.smallest, spec.smallest)]
    }
    to = spec.enlarged_to
    assert list(sizes.values()) == [[(to, to)], [(to, 3 * to)], []]


def test_alexnet_sees_cifar_as_the_paper_showed_it():
    assert [
        module.size
        for module in build_on_meta("alexnet", (3, 32, 32)).modules()
        if isinstance(module, Enlarge)
    ] == [(224, 224)]


def test_enlarging_is_bilinear():
    edge = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).view(1, 1, 2, 2)
    torch.testing.assert_close(
        Enlarge((4, 4))(edge)[0, 0], torch.tensor([0.0, 0.25, 0.75, 1.0]).expand(4, 4)
    )


def test_small_gray_images_get_distances_in_their_own_pixels():
    network = build("squeezenet1_0", (1, 8, 8)).eval()
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(score(network(images)).sum(), images)
    assert gradient.shape == (2, 1, 8, 8) and gradient.flatten(1).any(1).all()


def silence(*norms):
    """Let the residual be zero, so that the shortcut is seen alone."""
    for norm in norms:
        nn.init.zeros_(norm.weight)


def test_shortcut_of_resnet20_takes_every_second_pixel_and_pads_on_both_sides():
    block = BasicBlock(2, 4, stride=2).eval()
    silence(block.bn2)
    images = torch.arange(1.0, 19.0).view(1, 2, 3, 3)
    expected = torch.zeros(1, 4, 2, 2)
    expected[0, 1:3] = torch.tensor([[[1.0, 3.0], [7.0, 9.0]], [[10.0, 12.0], [16.0, 18.0]]])
    assert torch.equal(block(images), expected)


def test_shortcut_of_pyramidnet_averages_and_pads_at_the_end():
    convolution = nn.Conv2d(1, 3, 3, stride=2, padding=1, bias=False)
    nn.init.zeros_(convolution.weight)
    images = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    expected = torch.zeros(1, 3, 2, 2)
    expected[0, 0] = torch.tensor([[3.0, 4.5], [7.5, 9.0]])
    assert torch.equal(PyramidBlock(convolution, 2, stride=2)(images), expected)


def test_resnet20_has_the_layers_of_a_strangers_checkpoint(shared_data):
    found = torch.load(
        shared_data / "weights" / "resnet20-12fca82f.th", map_location="cpu", weights_only=True
    )
    weights = {key.removeprefix("module."): tensor for key, tensor in found["state_dict"].items()}
    network = build("resnet20", (3, 32, 32), 10).network
    counted = {key for key in network.state_dict() if key.endswith("num_batches_tracked")}
    assert set(network.state_dict()) - counted == set(weights)
    network.load_state_dict(weights)


def test_an_unknown_model_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no model 'small_cn'\. Did you mean 'small_cnn'"):
        build_network("small_cn", (1, 8, 8), 10, (0.0,), (1.0,))


def test_a_name_cannot_be_registered_twice():
    with pytest.raises(ValueError, match="registered twice"):
        MODELS.add("small_cnn", MODELS["small_cnn"])
