"""One contract for all architectures: registering a model is what tests it."""

import pytest
import torch

from rbcore.errors import ModelError, UnknownNameError
from rbcore.models import MODELS, build_network
from rbcore.models.base import Normalize

# Worked out from the published descriptions: weights and biases of every layer.
PARAMETERS = {
    ("logistic_regression", (1, 8, 8), 10): 64 * 10 + 10,
    ("small_cnn", (1, 8, 8), 10): (9 * 16 + 16) + (9 * 16 * 32 + 32) + (32 * 2 * 2 * 10 + 10),
    ("small_cnn", (3, 64, 64), 5): (27 * 16 + 16)
    + (9 * 16 * 32 + 32)
    + (9 * 32 * 64 + 64)
    + (9 * 64 * 64 + 64)
    + (64 * 4 * 4 * 5 + 5),
    # 200 px: 7x7 with padding 2 leaves 198, pooled 99; 5x5 with padding 2 leaves 99, pooled 49. 64 px: 62, 31, 31, 15.
    ("utk_classifier", (3, 200, 200), 5): (3 * 49 * 32 + 32)
    + (32 * 25 * 64 + 64)
    + (64 * 49 * 49 * 256 + 256)
    + (256 * 5 + 5),
    ("utk_classifier", (3, 64, 64), 5): (3 * 49 * 32 + 32)
    + (32 * 25 * 64 + 64)
    + (64 * 15 * 15 * 256 + 256)
    + (256 * 5 + 5),
}


def n_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "shape", "n_classes"), PARAMETERS, ids=str)
def test_parameter_counts_are_those_of_the_description(name, shape, n_classes):
    channels = shape[0]
    network = build_network(name, shape, n_classes, (0.0,) * channels, (1.0,) * channels)
    assert n_parameters(network) == PARAMETERS[name, shape, n_classes]


def test_small_cnn_is_small_on_digits():
    assert n_parameters(build_network("small_cnn", (1, 8, 8), 10, (0.0,), (1.0,))) <= 15_000


@pytest.mark.parametrize("name", list(MODELS))
def test_maps_images_to_logits_and_learns_one_batch(name):
    shape, n_classes = (3, 64, 64), 5
    torch.manual_seed(0)
    network = build_network(name, shape, n_classes, (0.5,) * 3, (0.25,) * 3)
    images, labels = torch.rand(16, *shape), torch.arange(16) % n_classes
    optimizer = torch.optim.SGD(network.parameters(), lr=0.002, momentum=0.9)
    losses = []
    for _ in range(6):
        loss = torch.nn.functional.cross_entropy(network.eval()(images), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert network(images).shape == (16, n_classes)
    assert all(torch.isfinite(torch.tensor(losses))) and losses[-1] < losses[0]


@pytest.mark.parametrize("side", range(8, 65, 7))
def test_small_cnn_takes_every_size_it_promises(side):
    network = build_network("small_cnn", (3, side, side), 4, (0.0,) * 3, (1.0,) * 3)
    assert network(torch.rand(2, 3, side, side)).shape == (2, 4)


def test_normalisation_is_the_first_layer_and_in_the_checkpoint():
    network = build_network("logistic_regression", (2, 4, 4), 3, (0.5, 0.2), (0.5, 0.1))
    assert isinstance(network[0], Normalize)
    assert {"normalize.mean", "normalize.std"} <= set(network.state_dict())
    image = torch.tensor([1.0, 0.3]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    torch.testing.assert_close(network[0](image), torch.ones(1, 2, 4, 4))


@pytest.mark.parametrize(("name", "side"), [("small_cnn", 200), ("small_cnn", 7), ("utk_classifier", 8)])
def test_sizes_that_do_not_fit_are_refused_by_name(name, side):
    with pytest.raises(ModelError, match=f"{name}.*{side}x{side}"):
        build_network(name, (1, side, side), 10, (0.0,), (1.0,))


def test_an_unknown_model_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no model 'small_cn'\. Did you mean 'small_cnn'"):
        build_network("small_cn", (1, 8, 8), 10, (0.0,), (1.0,))


def test_a_name_cannot_be_registered_twice():
    with pytest.raises(ValueError, match="registered twice"):
        MODELS.add("small_cnn", MODELS["small_cnn"])
