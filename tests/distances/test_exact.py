import numpy as np
import pytest
import torch
from foolbox import PyTorchModel
from foolbox.attacks import L2DeepFoolAttack
from foolbox.criteria import Misclassification
from scipy.optimize import minimize
from torch import nn

from rbcore.datasets import load_dataset
from rbcore.distances import resolve_method
from rbcore.distances.engine import estimate_arrays
from rbcore.errors import MethodError
from rbcore.runs.loading import load_model
from tests.toys import as_images, linear_network, smooth_network

EXACT = resolve_method("exact")
DEEPFOOL = resolve_method("deepfool")


def exact_distances(network, images, labels):
    return estimate_arrays(network, images, labels, *EXACT)


def test_two_classes_in_the_plane_worked_by_hand():
    # f_0 - f_1 = 3 x + 4 y - 2: distance |3 x + 4 y - 2| / 5
    network = linear_network([[3.0, 4.0], [0.0, 0.0]], [-2.0, 0.0])
    found = exact_distances(
        network, as_images([[1.0, 1.0], [0.0, 0.0], [0.5, 0.25]]), np.array([0, 1, 0])
    )
    np.testing.assert_allclose(found.distance, [1.0, 0.4, 0.1], rtol=1e-6)
    assert list(found.status) == ["exact"] * 3


def test_three_classes_take_the_nearest_boundary():
    # Classes x, y, 0.9: at (0.8, 0.1) class 2 wins; to class 0: 0.1 / 1; to class 1: 0.8 / 1.
    network = linear_network([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [0.0, 0.0, 0.9])
    found = exact_distances(network, as_images([[0.8, 0.1]]), np.array([2]))
    assert found.distance[0] == pytest.approx(0.1, rel=1e-6)
    assert found.perturbed_prediction[0] == 0


def test_every_projection_is_across_in_single_precision_too():
    """Logits that are large beside their differences round by more than a millionth of the distance
    beyond the boundary.
    """
    random = np.random.default_rng(0)
    weights = (0.05 + 0.01 * random.normal(size=(3, 12_288))).astype(np.float32)
    network = linear_network(weights, -0.5 * (weights - weights[:1]).sum(axis=1))
    images = as_images(random.uniform(0.3, 0.7, size=(60, 12_288)).astype(np.float32))
    labels = network(torch.as_tensor(images)).argmax(1).numpy()
    found = exact_distances(network, images, labels)
    assert (found.status == "exact").all() and (found.perturbed_prediction != labels).all()
    lengths = np.sqrt(((found.perturbed.astype(float) - images) ** 2).sum((1, 2, 3)))
    assert (lengths > found.distance).all() and (lengths < found.distance + 0.02).all()


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_a_general_optimizer(seed):
    """The nearest point of each half-space boundary found by scipy, without the closed form."""
    random = np.random.default_rng(seed)
    weights, biases, point = (
        random.normal(size=(4, 5)),
        random.normal(size=4),
        random.uniform(size=5),
    )
    label = int(np.argmax(weights @ point + biases))
    found = exact_distances(linear_network(weights, biases), as_images([point]), np.array([label]))
    best = np.inf
    for other in set(range(4)) - {label}:
        normal, offset = weights[label] - weights[other], biases[label] - biases[other]
        constraint = {"type": "eq", "fun": lambda x, n=normal, o=offset: n @ x + o}
        solved = minimize(
            lambda x: ((x - point) ** 2).sum(), point, constraints=[constraint], tol=1e-12
        )
        best = min(best, float(np.sqrt(solved.fun)))
    assert found.distance[0] == pytest.approx(best, rel=1e-5)


def test_normalization_inside_the_model_is_undone():
    """Dividing by a standard deviation of 0.5 doubles the slope, so the distance
    in pixels halves.
    """
    plain = linear_network([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])
    scaled = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        scaled[1].weight.copy_(torch.eye(2) / 0.5)
        scaled[1].bias.copy_(torch.tensor([0.0, 0.3]))
    image, label = as_images(np.array([[0.9, 0.2]], np.float32)), np.array([0])
    assert exact_distances(plain.float(), image, label).distance[0] == pytest.approx(
        0.7 / np.sqrt(2), rel=1e-5
    )
    assert exact_distances(scaled, image, label).distance[0] == pytest.approx(
        (1.4 - 0.3) / (2 * np.sqrt(2)), rel=1e-5
    )


def test_classes_with_equal_weights_share_no_boundary():
    network = linear_network([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], [0.0, -1.0, 0.0])
    found = exact_distances(network, as_images([[0.5, 0.5]]), np.array([0]))
    assert found.distance[0] == pytest.approx(0.5)


def test_scaling_the_logits_changes_nothing():
    random = np.random.default_rng(0)
    weights, biases, points = (
        random.normal(size=(3, 4)),
        random.normal(size=3),
        random.uniform(size=(20, 4)),
    )
    labels = (points @ weights.T + biases).argmax(1)
    one, other = (
        exact_distances(linear_network(s * weights, s * biases), as_images(points), labels)
        for s in (1.0, 1e3)
    )
    np.testing.assert_allclose(one.distance, other.distance, rtol=1e-9)


def test_a_network_that_is_not_linear_is_refused():
    network, points = (
        smooth_network(),
        np.random.default_rng(0).uniform(size=(8, 6)).astype(np.float32),
    )
    labels = network(torch.as_tensor(as_images(points))).argmax(1).numpy()
    with pytest.raises(MethodError, match="not linear; use minimal"):
        exact_distances(network, as_images(points), labels)


@pytest.fixture(scope="module")
def digits_linear():
    dataset = load_dataset("digits")
    rows = dataset.rows("test")
    network = load_model("logistic_regression", dataset).network
    return network, dataset.pixels(rows), dataset.labels(rows)


def test_foolbox_without_a_box_lies_just_beyond_the_exact_distance(digits_linear):
    """Foolbox itself, with bounds so wide that nothing is clipped: within [d, (1.002 +
    overshoot) d] for 99%.
    """
    network, images, labels = digits_linear
    exact = exact_distances(network, images, labels)
    correct = exact.status == "exact"
    overshoot = 0.02
    attack = L2DeepFoolAttack(steps=50, candidates=10, overshoot=overshoot)
    clean = torch.as_tensor(images[correct])
    wide = PyTorchModel(network, bounds=(-1000, 1000))
    perturbed = attack.run(wide, clean, Misclassification(torch.as_tensor(labels[correct])))
    ratio = (perturbed - clean).flatten(1).norm(dim=1).double().numpy() / exact.distance[correct]
    assert len(ratio) > 300
    assert ((ratio >= 1 - 1e-5) & (ratio <= 1.002 + overshoot)).mean() >= 0.99


def test_no_attack_inside_the_box_beats_the_exact_distance(digits_linear):
    network, images, labels = digits_linear
    exact, attack = (
        exact_distances(network, images, labels),
        estimate_arrays(network, images, labels, *DEEPFOOL),
    )
    both = (exact.status == "exact") & np.isin(attack.status, ["found", "fallback"])
    assert both.sum() > 300
    assert (attack.distance[both] >= exact.distance[both] * (1 - 1e-4) - 1e-6).all()
    ratio = np.median(attack.distance[both] / exact.distance[both])
    assert 1.0 < ratio < 1.15, f"median ratio {ratio:.3f} on {both.sum()} images"
