import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from torch import nn

from rbcore.distances import resolve_method
from rbcore.distances.engine import Engine, estimate_arrays
from rbcore.distances.samples import Samples
from tests.toys import as_images, linear_network, smooth_network

FAST, STANDARD, THOROUGH = (
    resolve_method(name) for name in ("minimal:fast", "minimal", "minimal:thorough")
)
TIERS = pytest.mark.parametrize(
    "tier", [FAST, STANDARD, THOROUGH], ids=["fast", "standard", "thorough"]
)


@pytest.fixture(scope="module")
def standard_on_digits(digits):
    return estimate_arrays(*digits, *STANDARD)


def test_standard_is_the_preset_of_the_same_name():
    assert resolve_method("minimal")[1] == resolve_method("minimal:standard")[1]


@TIERS
def test_distance_to_a_line_worked_out_by_hand(tier):
    """The boundary is 3x + 4y = 3.5, so a point's distance is |3x + 4y - 3.5| / 5."""
    network = linear_network(
        np.array([[3, 4], [0, 0]], np.float32), np.array([-3.5, 0], np.float32)
    )
    points = np.array([[0.5, 0.6], [0.5, 0.4], [0.9, 0.5], [0.2, 0.5]], np.float32)
    by_hand = np.array([0.08, 0.08, 0.24, 0.18])
    found = estimate_arrays(network, as_images(points), np.array([0, 1, 0, 1]), *tier)
    assert (found.distance >= by_hand * (1 - 1e-5)).all() and (
        found.distance <= 1.005 * by_hand
    ).all()


@TIERS
def test_within_half_a_percent_of_the_exact_distance_of_linear_models(tier):
    random = np.random.default_rng(0)
    weights, biases = random.normal(size=(4, 30)), random.normal(size=4) * 0.1
    network = linear_network(weights, biases).double()
    points = random.uniform(0.45, 0.55, size=(200, 30))
    labels = network(torch.as_tensor(as_images(points))).argmax(1).numpy()
    exact = estimate_arrays(network, as_images(points), labels, *resolve_method("exact")).distance
    inside = exact < 0.4  # no bound clips there
    found = estimate_arrays(network, as_images(points), labels, *tier).distance
    assert inside.sum() > 100
    assert (found[inside] >= exact[inside] * (1 - 1e-6)).all()
    assert (found[inside] <= 1.005 * exact[inside]).all()


@pytest.fixture(scope="module")
def moons():
    """A network with a curved boundary in two dimensions, and points with their true distances
    by a dense grid.
    """
    points, labels = make_moons(400, noise=0.08, random_state=0)
    points = ((points - points.min(0)) / (points.max(0) - points.min(0)) * 0.6 + 0.2).astype(
        np.float32
    )
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    images, targets = torch.as_tensor(as_images(points)), torch.as_tensor(labels)
    for _ in range(300):
        loss = nn.functional.cross_entropy(network(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    axis = np.linspace(0, 1, 1201, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    with torch.no_grad():
        classes = network(torch.as_tensor(as_images(grid))).argmax(1).numpy()
        predicted = network(images).argmax(1).numpy()
    chosen = np.flatnonzero(predicted == labels)[:200]
    truth = np.empty(len(chosen))
    for number, row in enumerate(chosen):
        truth[number] = np.linalg.norm(grid[classes != labels[row]] - points[row], axis=1).min()
    return network, as_images(points[chosen]), labels[chosen], truth


@pytest.mark.slow
def test_standard_finds_the_true_distance_of_a_curved_boundary(moons):
    *problem, truth = moons
    found = estimate_arrays(*problem, *STANDARD).distance
    cell = np.sqrt(2) / 1200  # the grid's own error
    assert ((found >= truth - cell) & (found <= 1.02 * truth + cell)).mean() >= 0.95
    assert (found >= truth - cell).all()  # an upper bound of the true distance


@pytest.mark.slow
def test_every_tier_is_at_least_as_good_as_the_one_below(digits, standard_on_digits):
    network, images, labels = digits
    fast = estimate_arrays(network, images, labels, *FAST).distance
    standard = standard_on_digits.distance
    correct = ~np.isnan(fast)
    assert correct.sum() > 300
    assert (standard[correct] <= fast[correct] * (1 + 2e-3)).all()
    assert standard[correct].mean() < 0.97 * fast[correct].mean()
    few = np.flatnonzero(correct)[:40]
    thorough = estimate_arrays(network, images[few], labels[few], *THOROUGH).distance
    assert (thorough <= standard[few] * (1 + 2e-3)).mean() > 0.9
    assert thorough.mean() <= standard[few].mean()


def test_fast_is_what_foolboxs_deepfool_finds(digits):
    network, images, labels = digits
    ours = estimate_arrays(network, images[:100], labels[:100], *FAST).distance
    theirs = estimate_arrays(
        network, images[:100], labels[:100], *resolve_method("deepfool")
    ).distance
    both = ~np.isnan(ours)
    assert np.nanmedian(ours) <= 1.001 * np.nanmedian(theirs)
    assert np.median(ours[both] / theirs[both]) == pytest.approx(1, abs=0.003)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 360])
def test_no_tolerance_but_the_kernels_comes_with_another_batch(
    digits, standard_on_digits, batch_size
):
    network, images, labels = digits
    rows = slice(0, 20) if batch_size == 1 else slice(None)
    again = estimate_arrays(
        network, images[rows], labels[rows], *STANDARD, batch_size=batch_size
    ).distance
    assert_close(standard_on_digits.distance[rows], again)


def test_neither_order_nor_neighbors_matter(digits, standard_on_digits):
    network, images, labels = digits
    order = np.random.default_rng(0).permutation(len(images))[:150]
    shuffled = estimate_arrays(network, images[order], labels[order], *STANDARD).distance
    assert_close(standard_on_digits.distance[order], shuffled)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_scaling_the_logits_moves_no_distance(seed):
    points = np.random.default_rng(seed).uniform(0.2, 0.8, size=(100, 6))
    network = smooth_network(torch.float64)
    labels = network(torch.as_tensor(as_images(points))).argmax(1).numpy()
    plain = estimate_arrays(network, as_images(points), labels, *STANDARD).distance
    scaled = estimate_arrays(
        lambda x: 50 * network(x), as_images(points), labels, *STANDARD
    ).distance
    np.testing.assert_allclose(
        scaled, plain, rtol=1e-8
    )  # rounding alone: no choice between two as near hangs on it


def assert_close(one, other):
    has = ~np.isnan(one)
    np.testing.assert_array_equal(has, ~np.isnan(other))
    gap = np.abs(one[has] - other[has])
    assert (gap <= 1e-4 * one[has] + 1e-6).all()
    assert (gap <= 1e-5 * one[has]).mean() >= 0.95


def test_a_class_that_deepfool_misses_is_found_by_a_second_start():
    """Seen from the image, class 1 is nearer; its boundary bends away, and class 2 is
    the true nearest.
    """

    class Bent(nn.Module):
        def forward(self, images):
            x, y = images.flatten(1).unbind(1)
            bent = (
                2 * (x - 0.6) - 40 * (x - 0.5).clamp_min(0) ** 2
            )  # looks 0.1 away, is never reached going right
            return torch.stack([torch.zeros_like(x), bent, 2 * (y - 0.65)], 1)

    image = as_images(np.array([[0.5, 0.5]], np.float32))
    found = estimate_arrays(Bent(), image, np.array([0]), *STANDARD)
    assert list(found.status) == ["found"] and found.perturbed_prediction[0] == 2
    assert found.distance[0] == pytest.approx(0.15, rel=0.005)


def test_an_island_that_no_gradient_leads_to_is_reached_all_the_same():
    """The other class is an island far away, and the slope where the image lies leads elsewhere."""

    class Island(nn.Module):
        def forward(self, images):
            x = images.flatten(1)[:, 0]
            island = 1 - 400 * (x - 0.9) ** 2  # above 0 within 0.05 of x = 0.9
            hill = -1 - (x - 0.2) ** 2  # its top is at 0.2, and below 0
            return torch.stack([torch.zeros_like(x), torch.maximum(island, hill)], 1)

    points = as_images(np.array([[0.3, 0.5], [0.9, 0.5]], np.float32))
    found = estimate_arrays(Island(), points, np.array([0, 1]), *STANDARD)
    assert found.distance[1] == pytest.approx(0.05, rel=0.01)
    assert 0.55 <= found.distance[0] <= 0.65  # its near shore is 0.55 away, its far one 0.65


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_pool_refills_and_loses_nobody(size):
    """Images need different numbers of steps, so places in the pool come free at
    different times.
    """
    network = smooth_network(torch.float64)
    points = np.random.default_rng(5).uniform(0.2, 0.8, size=(23, 6))
    labels = network(torch.as_tensor(as_images(points))).argmax(1).numpy()
    whole = estimate_arrays(network, as_images(points), labels, *FAST, batch_size=64).distance
    pooled = estimate_arrays(network, as_images(points), labels, *FAST, batch_size=size).distance
    np.testing.assert_allclose(pooled, whole, rtol=1e-9)


def test_the_pool_spends_no_pass_on_images_that_are_done(digits):
    network, images, labels = digits
    passes = {}
    for size in (16, 128):
        engine = Engine(
            network, Samples.of_arrays(images, labels, np.arange(8)), *FAST, batch_size=size
        )
        list(itertools.starmap(engine.estimate, [(np.arange(64),), (np.arange(64, 128),)]))
        passes[size] = engine.network.take_counts()["n_backward"]
    assert passes[16] == pytest.approx(
        passes[128], rel=0.01
    )  # what is sent backward depends on the images, not on the size of the pool


def test_progress_counts_samples_and_ends_at_all_of_them(digits):
    network, images, labels = digits
    for tier in (FAST, STANDARD):
        told = []
        engine = Engine(
            network, Samples.of_arrays(images, labels, np.arange(8)), *tier, batch_size=8
        )
        engine.estimate(np.arange(30), told.append)
        assert sum(told) == 30 and len(told) >= 3 and min(told) > 0
