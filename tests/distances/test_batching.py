import numpy as np
import pytest
import torch
from torch import nn

from rbcore.distances import AttackResult, Method, batching, resolve_method
from rbcore.distances.attacks.active_deepfool import gradients
from rbcore.distances.engine import Engine, estimate_arrays
from rbcore.distances.networks import (
    BLOCK,
    CheckedNetwork,
    CountedNetwork,
    InBlocks,
    block_of,
    bytes_an_image,
    folded,
)
from rbcore.distances.samples import Samples
from rbcore.errors import MethodError
from rbcore.outputs.modes import evaluating
from tests.toys import as_images, smooth_network

CPU = torch.device("cpu")


class Residual(nn.Module):
    """Convolutions with BatchNorm: two pairs that fold, one BatchNorm after a sum that does not,
    one convolution used twice.
    """

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.second, self.another = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.after = nn.BatchNorm2d(4)
        self.shared = nn.Conv2d(4, 4, 1)
        self.shared_norm = nn.BatchNorm2d(4)
        self.last = nn.Linear(4, 3)

    def forward(self, images):
        features = self.norm(self.first(images)).relu()
        features = self.after(features + self.another(self.second(features))).relu()
        features = self.shared_norm(self.shared(features)) + self.shared(features)
        return self.last(features.mean((2, 3)))


@pytest.fixture
def residual():
    torch.manual_seed(0)
    network = Residual()
    network(torch.rand(64, 3, 8, 8))  # running statistics of their own
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    return network.eval().requires_grad_(False)


def test_folding_changes_no_answer_and_leaves_the_network_alone(residual):
    images = torch.rand(5, 3, 8, 8)
    before = {name: value.clone() for name, value in residual.state_dict().items()}
    fused = folded(residual, images)
    assert fused is not None
    torch.testing.assert_close(fused(images), residual(images), rtol=1e-5, atol=1e-6)
    left = [
        node
        for node in fused.graph.nodes
        if "norm" in str(node.target) or str(node.target)[:1] == "a"
    ]
    assert {str(node.target) for node in left} >= {
        "after",
        "shared_norm",
    }  # those that no convolution alone feeds
    assert not {"norm", "another"} & {str(node.target) for node in fused.graph.nodes}
    assert all(torch.equal(before[name], value) for name, value in residual.state_dict().items())


def test_a_network_that_cannot_be_traced_is_used_as_it_is():
    class Branching(nn.Module):
        def forward(self, images):
            total = images.flatten(1)
            return total if total.sum() > 0 else -total

    assert folded(Branching(), torch.rand(2, 3, 2, 2)) is None
    counted = CountedNetwork(Branching())
    assert counted.fused(torch.rand(2, 3, 2, 2))(torch.rand(2, 3, 2, 2)).shape == (2, 12)


def test_a_folded_network_with_other_answers_is_not_used(residual):
    residual.norm.running_var.fill_(1e-12)  # so small that folding loses digits
    residual.norm.eps = 1e-20
    fused = folded(residual, torch.rand(4, 3, 8, 8))
    images = torch.rand(4, 3, 8, 8)
    assert fused is None or torch.allclose(fused(images), residual(images), rtol=1e-4)


def test_quick_counts_for_the_network_it_stands_for(residual):
    counted = CountedNetwork(residual)
    fused = counted.fused(torch.rand(2, 3, 8, 8))
    fused(torch.rand(7, 3, 8, 8))
    assert counted.take_counts() == {"n_forward": 7, "n_backward": 0}
    assert counted.fused(torch.rand(2, 3, 8, 8)) is fused


@pytest.mark.parametrize("n", [1, 3, 4, 9])
def test_blocks_are_all_of_one_size_and_change_no_answer_and_no_gradient(n):
    seen = []
    network = smooth_network(torch.float64)

    def watched(images):
        seen.append(len(images))
        return network(images)

    images = torch.rand(n, 1, 1, 6, dtype=torch.float64)
    moved = [images.clone().requires_grad_() for _ in range(2)]
    logits = InBlocks(watched, 4)(moved[0])
    assert set(seen) == {4} and len(logits) == n
    torch.testing.assert_close(logits, network(moved[1]), rtol=1e-12, atol=0)
    slopes = [
        torch.autograd.grad(out[:, 0].sum(), x)[0]
        for out, x in ((logits, moved[0]), (network(moved[1]), moved[1]))
    ]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=0)


def test_bytes_of_an_image_are_what_autograd_keeps():
    """A layer keeps its input for the weights it need not train: nothing; Tanh keeps its output of
    16 numbers of 8 bytes.
    """
    network = (
        nn.Sequential(nn.Flatten(), nn.Linear(6, 16), nn.Tanh()).double().requires_grad_(False)
    )
    image = torch.rand(1, 1, 1, 6, dtype=torch.float64)
    assert bytes_an_image(network, image) == 16 * 8 + 6 * 8


def test_large_images_come_in_small_blocks():
    image = torch.rand(1, 1, 1, 6, dtype=torch.float64)
    assert block_of(smooth_network(torch.float64), image) == BLOCK

    def heavy(images):
        return (images.repeat(1, 1, 1, 2**20).exp()).sum((1, 2, 3))[
            :, None
        ]  # 50 MB that autograd keeps

    assert block_of(heavy, image) == 4


def test_a_pass_takes_no_more_than_its_share_of_what_is_free(monkeypatch):
    network, image = smooth_network(torch.float64), torch.rand(1, 1, 1, 6, dtype=torch.float64)
    one = bytes_an_image(network, image)
    monkeypatch.setattr(batching, "free_bytes", lambda device: 1000 * one)
    assert batching.largest_size(network, image) == int(
        1000 * batching.MEMORY_SHARE / batching.WORKSPACE
    )
    monkeypatch.setattr(batching, "free_bytes", lambda device: 5 * one)
    assert batching.largest_size(network, image) == 1
    assert batching.fastest_size(network, image, 1, backward=True) == 1


def test_the_size_found_is_the_one_that_is_fastest(monkeypatch):
    """With 1 ms a pass and 1 ms an image up to 32, 4 ms beyond: the rate peaks at 32."""
    monkeypatch.setattr(
        batching,
        "seconds_of_a_pass",
        lambda network, images, backward: (
            1e-3 * (1 + len(images) * (4 if len(images) > 32 else 1) / 8)
        ),
    )
    image = torch.rand(1, 1, 1, 6)
    assert batching.fastest_size(smooth_network(), image, 128, backward=True) == 32


class Crowded(nn.Module):
    """A network that runs out of memory above some number of images."""

    def __init__(self, most):
        super().__init__()
        self.network, self.most = smooth_network(torch.float64), most

    def forward(self, images):
        if len(images) > self.most:
            raise torch.OutOfMemoryError("too many")
        return self.network(images)


def problem(n=30):
    points = np.random.default_rng(0).uniform(0.2, 0.8, size=(n, 6))
    network = smooth_network(torch.float64)
    return as_images(points), network(torch.as_tensor(as_images(points))).argmax(1).numpy()


def test_out_of_memory_halves_the_pass_and_changes_nothing():
    images, labels = problem()
    method = resolve_method("deepfool")
    told = []
    engine = Engine(
        Crowded(5), Samples.of_arrays(images, labels, np.arange(4)), *method, batch_size=32
    )
    found = engine.estimate(np.arange(30), told.append)
    assert engine.batch_size == 4 and sum(told) == 30
    plain = estimate_arrays(smooth_network(torch.float64), images, labels, *method)
    np.testing.assert_allclose(found.distance, plain.distance, rtol=1e-9)


def test_where_not_one_image_fits_the_remedy_is_said():
    images, labels = problem()
    with pytest.raises(MethodError, match="Not even one image fits"):
        estimate_arrays(Crowded(0), images, labels, *resolve_method("deepfool"), batch_size=8)


def test_another_error_of_torch_is_not_taken_for_want_of_memory():
    images, labels = problem()

    def broken(network, batch):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        estimate_arrays(
            smooth_network(torch.float64),
            images,
            labels,
            Method("x", "x", broken, "upper", "x"),
            {},
        )


def test_the_measured_size_is_used_and_recorded_once():
    images, labels = problem()
    engine = Engine(
        smooth_network(torch.float64),
        Samples.of_arrays(images, labels, np.arange(4)),
        *resolve_method("minimal"),
    )
    size = engine.batch_size
    assert 1 <= size <= batching.LARGEST_SIZE["cpu"] and engine.batch_size == size
    assert engine.rows_a_batch == 4 * size and engine.network.take_counts()["n_forward"] == 0


def test_passes_without_gradients_are_split_and_joined():
    network = CountedNetwork(smooth_network(torch.float64))
    images = torch.rand(10, 1, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(batching.in_passes(network, images, 3), network(images))


def test_gradients_of_several_classes_are_those_of_each():
    network, images = (
        smooth_network(torch.float64),
        torch.rand(4, 1, 1, 6, dtype=torch.float64, requires_grad=True),
    )
    values = network(images).T
    one_by_one = gradients(values, images)
    ones = torch.eye(3, dtype=torch.float64)[:, :, None].expand(-1, -1, 4)
    (batched,) = torch.autograd.grad(
        network(images).T, images, ones, is_grads_batched=True
    )  # what a GPU does
    torch.testing.assert_close(one_by_one, batched)


def test_frozen_restores_after_an_error():
    network = nn.Sequential(smooth_network(), nn.Dropout()).train()
    with pytest.raises(ValueError, match="stop"), evaluating(network, frozen=True):
        assert not network.training
        raise ValueError("stop")
    assert network.training and all(parameter.requires_grad for parameter in network.parameters())


def test_a_method_that_returns_nothing_is_a_programming_error_and_says_so():
    images, labels = problem()
    with pytest.raises(MethodError, match="neither perturbed images"):
        estimate_arrays(
            smooth_network(torch.float64),
            images,
            labels,
            Method("x", "x", lambda n, b: AttackResult(), "upper", "x"),
            {},
        )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cpu_and_gpu_agree():
    torch.manual_seed(0)
    network = Residual()
    network(torch.rand(64, 3, 8, 8))
    network.eval()
    images = torch.rand(64, 3, 8, 8)
    labels = network(images).argmax(1).numpy()
    for name in ("deepfool", "minimal:fast", "minimal"):
        on_cpu = estimate_arrays(
            network.cpu(), images.numpy(), labels, *resolve_method(name)
        ).distance
        on_gpu = estimate_arrays(
            CheckedNetwork(network.cuda(), device="cuda"),
            images.numpy(),
            labels,
            *resolve_method(name),
        ).distance
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-3)
