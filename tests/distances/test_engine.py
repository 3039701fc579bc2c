import numpy as np
import pytest
import torch
from torch import nn

from rbcore.distances import METHODS, AttackResult, Method, resolve_method
from rbcore.distances.base import format_method, method_spellings
from rbcore.distances.engine import Engine, estimate_arrays
from rbcore.distances.networks import CheckedNetwork
from rbcore.distances.samples import Samples
from rbcore.errors import Cancelled, MethodError, UnknownNameError
from tests.toys import as_images, linear_network, smooth_network

DEEPFOOL = resolve_method("deepfool")


def attack_that(run):
    return Method("test", "Test", run, bound="upper", description="for a test"), {}


@pytest.fixture(scope="module")
def deepfool_on_digits(digits):
    return estimate_arrays(*digits, *DEEPFOOL)


def test_every_distance_is_that_of_an_image_that_fools_the_network(digits, deepfool_on_digits):
    network, images, labels = digits
    found = deepfool_on_digits
    has = np.isin(found.status, ["found", "fallback"])
    assert has.sum() > 300 and set(found.status) <= {"found", "fallback", "misclassified"}
    perturbed = found.perturbed[has]
    assert perturbed.min() >= 0 and perturbed.max() <= 1
    with torch.no_grad():
        predicted = network(torch.as_tensor(perturbed)).argmax(1).numpy()
    assert (predicted != labels[has]).all()
    np.testing.assert_array_equal(predicted, found.perturbed_prediction[has])
    norms = np.sqrt(((perturbed.astype(np.float64) - images[has]) ** 2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(found.distance[has], norms, rtol=1e-6)


def test_misclassified_images_are_counted_not_attacked(digits, deepfool_on_digits):
    network, images, labels = digits
    with torch.no_grad():
        wrong = network(torch.as_tensor(images)).argmax(1).numpy() != labels
    assert wrong.any()
    np.testing.assert_array_equal(deepfool_on_digits.status == "misclassified", wrong)
    assert np.isnan(deepfool_on_digits.distance[wrong]).all()
    assert (deepfool_on_digits.perturbed_prediction[wrong] == -1).all()


@pytest.mark.parametrize(
    "batch_size", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 7)), 360]
)
def test_a_distance_does_not_depend_on_its_batch(digits, deepfool_on_digits, batch_size):
    again = estimate_arrays(*digits, *DEEPFOOL, batch_size=batch_size)
    assert_same_distances(deepfool_on_digits, again)


def test_a_distance_does_not_depend_on_the_order(digits, deepfool_on_digits):
    network, images, labels = digits
    order = np.random.default_rng(0).permutation(len(images))
    shuffled = estimate_arrays(network, images[order], labels[order], *DEEPFOOL)
    back = np.argsort(order)
    assert_same_distances(deepfool_on_digits, shuffled, back)


def assert_same_distances(one, other, rows=slice(None)):
    a, b = one.distance, other.distance[rows]
    np.testing.assert_array_equal(one.status, other.status[rows])
    a, b = a[~np.isnan(a)], b[~np.isnan(a)]
    assert len(a) > 300
    assert (np.abs(a - b) <= 1e-4 * a + 1e-6).all()
    assert (np.abs(a - b) <= 1e-5 * a).mean() >= 0.95


def test_in_float64_neighbors_do_not_matter_at_all():
    network = smooth_network(torch.float64)
    points = np.random.default_rng(1).uniform(0.2, 0.8, size=(200, 6))
    labels = network(torch.as_tensor(as_images(points))).argmax(1).numpy()
    runs = [
        estimate_arrays(network, as_images(points), labels, *DEEPFOOL, batch_size=size)
        for size in (1, 7, 128)
    ]
    for run in runs[1:]:
        np.testing.assert_allclose(run.distance, runs[0].distance, rtol=1e-9, atol=0)
    assert np.isfinite(runs[0].distance).sum() == 200


def test_scaling_the_logits_moves_no_distance():
    points = np.random.default_rng(2).uniform(0.2, 0.8, size=(100, 6))
    network = smooth_network(torch.float64)
    labels = network(torch.as_tensor(as_images(points))).argmax(1).numpy()
    plain = estimate_arrays(network, as_images(points), labels, *DEEPFOOL)
    scaled = estimate_arrays(lambda x: 50 * network(x), as_images(points), labels, *DEEPFOOL)
    np.testing.assert_allclose(scaled.distance, plain.distance, rtol=1e-4)


LINE = linear_network(
    np.array([[1.0, 0.0], [0.0, 0.0]], np.float32), np.array([-0.5, 0.0], np.float32)
)
POINTS = as_images(np.array([[0.9, 0.5], [0.7, 0.2], [0.1, 0.4], [0.3, 0.9]], np.float32))
LABELS = np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    "returned",
    [
        lambda images: images,  # DDN's and FMN's way to fail: the clean image, distance 0
        lambda images: torch.zeros_like(images),  # CW's way: a black image
        lambda images: images * torch.nan,
        lambda images: images + 0.01,  # DeepFool's way: moved, but not across
    ],
    ids=["clean", "black", "nan", "moved"],
)
def test_what_fools_nobody_is_replaced_by_the_fallback(returned):
    method, parameters = attack_that(lambda network, batch: AttackResult(returned(batch.images)))
    found = estimate_arrays(LINE, POINTS, LABELS, method, parameters)
    assert list(found.status) == ["fallback"] * 4
    # toward the nearest point of the other class the line x = 0.5 is crossed here:
    expected = []
    for point, label in zip(POINTS.reshape(4, 2), LABELS, strict=True):
        others = POINTS.reshape(4, 2)[label != LABELS]
        target = others[np.argmin(np.linalg.norm(others - point, axis=1))]
        share = (0.5 - point[0]) / (target[0] - point[0])
        expected.append(share * np.linalg.norm(target - point))
    np.testing.assert_allclose(found.distance, expected, rtol=1e-3)
    assert (found.perturbed_prediction == 1 - LABELS).all()


def test_where_even_the_fallback_finds_nothing_the_status_is_failed():
    method, parameters = attack_that(lambda network, batch: AttackResult(batch.images))
    found = estimate_arrays(LINE, POINTS[:2], LABELS[:2], method, parameters)
    assert list(found.status) == ["failed"] * 2
    assert np.isnan(found.distance).all() and (found.perturbed_prediction == -1).all()


NOTHING = attack_that(lambda network, batch: AttackResult(batch.images))


@pytest.mark.parametrize("lead", [0.03, 1e-3, 2e-5])
def test_the_fallback_ends_clearly_across_even_towards_an_image_that_is_hardly_across_itself(lead):
    points = as_images(np.array([[0.9, 0.5], [0.5 - lead, 0.5]], np.float32))
    found = estimate_arrays(LINE, points, LABELS[1:3], *NOTHING)
    assert found.status[0] == "fallback" and found.perturbed_prediction[0] == 1
    assert 0.4 < found.distance[0] <= 0.4 + 1.01 * min(lead, 3e-5)
    assert found.status[1] == "fallback" and found.distance[1] == pytest.approx(lead, abs=1e-5)


def test_an_image_within_rounding_of_the_boundary_is_no_goal_of_the_fallback():
    points = as_images(np.array([[0.9, 0.5], [0.499999, 0.5], [0.2, 0.0]], np.float32))
    found = estimate_arrays(LINE, points, np.array([0, 1, 1]), *NOTHING)
    toward = points.reshape(3, 2)[2] - points.reshape(3, 2)[0]
    assert found.status[0] == "fallback"
    assert found.distance[0] == pytest.approx(np.linalg.norm(toward) * 0.4 / 0.7, rel=1e-3)


def test_no_image_of_the_digits_is_left_without_a_distance(digits):
    runs = [estimate_arrays(*digits, *NOTHING, batch_size=size) for size in (50, 352)]
    assert set(runs[0].status) == {"fallback", "misclassified"}
    assert_same_distances(*runs)


def test_an_image_that_fools_only_in_company_does_not_count():
    """A network whose answer depends on the batch: alone, the perturbed image is
    classified correctly.
    """

    class Moody(nn.Module):
        def forward(self, images):
            logits = LINE(images)
            return (
                logits
                if len(images) == 1
                else logits.flip(1) * (images.flatten(1).amax(1) > 0.95)[:, None] + logits
            )

    method, parameters = attack_that(
        lambda network, batch: AttackResult(
            batch.images + (0.96 - batch.images.amax((1, 2, 3), True))
        )
    )
    found = estimate_arrays(Moody(), POINTS[:2], LABELS[:2], method, parameters)
    assert list(found.status) == ["failed"] * 2


def test_outputs_of_an_attack_are_clipped_into_the_box():
    method, parameters = attack_that(
        lambda network, batch: AttackResult(batch.images - torch.tensor([9.0, 0.0]))
    )
    found = estimate_arrays(LINE, POINTS[:2], LABELS[:2], method, parameters)
    np.testing.assert_allclose(found.distance, [0.9, 0.7], rtol=1e-6)
    assert list(found.status) == ["found"] * 2


def test_a_network_that_gives_probabilities_is_refused():
    with pytest.raises(MethodError, match="gives probabilities"):
        estimate_arrays(lambda x: LINE(x).softmax(1), POINTS, LABELS, *DEEPFOOL)


def test_a_network_that_gives_nan_is_refused():
    with pytest.raises(MethodError, match="NaN or infinite"):
        estimate_arrays(lambda x: LINE(x) * torch.nan, POINTS, LABELS, *DEEPFOOL)


def test_images_outside_the_unit_range_are_refused_but_rounding_is_not():
    with pytest.raises(MethodError, match=r"\[0, 1\]; these span \[0.2, 1.8\]"):
        estimate_arrays(LINE, POINTS * np.float32([2, 1]), LABELS, *DEEPFOOL)
    edge = POINTS.copy()
    edge[0, 0, 0, 0] = 1 + 1e-7
    assert np.isfinite(estimate_arrays(LINE, edge, LABELS, *DEEPFOOL).distance).all()


def test_the_network_is_left_as_it_was(digits):
    dataset_network, images, labels = digits
    network = nn.Sequential(dataset_network, nn.Dropout(0.5)).train()
    dataset_network.eval()
    next(iter(dataset_network.parameters())).requires_grad_(True)
    wanted = (
        [(m.training) for m in network.modules()],
        [p.requires_grad for p in network.parameters()],
    )
    estimate_arrays(network, images[:16], labels[:16], *DEEPFOOL)
    assert (
        [(m.training) for m in network.modules()],
        [p.requires_grad for p in network.parameters()],
    ) == wanted
    assert all(parameter.grad is None for parameter in network.parameters())
    next(iter(dataset_network.parameters())).requires_grad_(False)


def test_passes_are_counted(digits):
    network, images, labels = digits
    engine = Engine(network, Samples.of_arrays(images, labels, np.arange(8)), *DEEPFOOL)
    engine.estimate(np.arange(8))
    counts = engine.network.take_counts()
    assert counts["n_backward"] > 8 * 9 and counts["n_forward"] > counts["n_backward"]
    assert engine.network.take_counts() == {"n_forward": 0, "n_backward": 0}


def test_cancel_stops_in_the_middle_of_an_attack(digits):
    network, images, labels = digits
    asked = []

    def after_ten_passes():
        asked.append(None)
        return len(asked) > 10

    with pytest.raises(Cancelled):
        estimate_arrays(CheckedNetwork(network, cancel=after_ten_passes), images, labels, *DEEPFOOL)
    assert len(asked) == 11


def test_parameters_are_resolved_checked_and_named():
    assert resolve_method("deepfool:paper")[1] == {
        "steps": 100,
        "candidates": 10,
        "overshoot": 0.05,
    }
    assert resolve_method("deepfool:paper", {"steps": "7"})[1]["steps"] == 7
    assert resolve_method("deepfool:foolbox")[1] == resolve_method("deepfool")[1]
    spelled = [
        "exact",
        "deepfool",
        "deepfool:paper",
        "carlini_wagner",
        "carlini_wagner:foolbox",
        "ddn",
    ]
    assert [name for name in method_spellings() if name in spelled] == spelled
    assert {"minimal", "minimal:fast", "minimal:thorough"} <= set(method_spellings())
    for spelled, given, message in [
        ("fgsm", {}, "no method 'fgsm'"),
        ("deepfool:fast", {}, "no preset of deepfool 'fast'"),
        ("deepfool", {"step": 3}, "Did you mean 'steps'"),
        ("exact", {"steps": 3}, "no parameter of exact 'steps'. Known: none"),
    ]:
        with pytest.raises(UnknownNameError, match=message):
            resolve_method(spelled, given)
    for value in (0, 2.5, "x", "nan", 10**9):
        with pytest.raises(MethodError, match="steps="):
            resolve_method("deepfool", {"steps": value})


@pytest.mark.parametrize("name", [name for name in METHODS if not METHODS[name].smoothed])
def test_every_method_finds_the_boundary_of_a_plane(name):
    """Registering a method is what tests it: distances to a plane in 16 pixels, where
    no bound clips.
    """
    gaps = np.array([0.4, 0.2, -0.4, -0.2])
    normal = np.resize([1.0, -1.0], 16) / 4
    points = (
        np.full((4, 16), 0.5) + np.resize([0.05, 0.05, -0.05, -0.05], 16) + gaps[:, None] * normal
    )
    plane = linear_network(
        np.stack([normal, 0 * normal]).astype(np.float32),
        np.array([-0.5 * normal.sum(), 0], np.float32),
    )
    images, labels = as_images(points).astype(np.float32), np.array([0, 0, 1, 1])
    found = estimate_arrays(plane, images, labels, *resolve_method(name))
    np.testing.assert_allclose(found.distance, np.abs(gaps), rtol=0.03)


@pytest.mark.parametrize(
    "spelled",
    [
        "minimal",
        "minimal:fast",
        "minimal:fast candidates=2",
        "deepfool steps=7 overshoot=0.5",
        "smoothing n=50",
    ],
)
def test_a_method_is_spelled_as_it_was_asked_for(spelled):
    assert format_method(*resolve_method(spelled)) == spelled


@pytest.mark.parametrize(
    "spelled", ["minimal:fast candidates", "minimal =3", "", "minimal:standard nonsense"]
)
def test_what_is_no_method_is_refused(spelled):
    with pytest.raises((MethodError, UnknownNameError)):
        resolve_method(spelled)
