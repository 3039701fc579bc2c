"""The traps that attack libraries leave open: each is shown in Foolbox itself first, then that our
engine is not caught by it.

Trap 5, Carlini-Wagner's early stop that couples the images of a batch, is in
test_foolbox_attacks.py.
"""

import numpy as np
import pytest
import torch
from foolbox import PyTorchModel
from foolbox.attacks import DDNAttack, L2CarliniWagnerAttack, L2DeepFoolAttack, L2FMNAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import get_device
from torch import nn

from rbcore.datasets import load_dataset
from rbcore.distances import METHODS, AttackResult, Method, resolve_method
from rbcore.distances.batching import in_passes
from rbcore.distances.engine import Engine, estimate_arrays
from rbcore.distances.networks import CheckedNetwork, CountedNetwork
from rbcore.distances.samples import Samples
from rbcore.errors import Cancelled, MethodError
from rbcore.runs.loading import load_model
from tests.toys import as_images, linear_network, smooth_network

LINE = linear_network(
    np.array([[1.0, 0.0], [0.0, 0.0]], np.float32), np.array([-0.5, 0.0], np.float32)
).eval()
"""Class 0 where the first pixel exceeds 0.5: the distance is what it exceeds it by."""
POINTS = as_images(np.array([[0.9, 0.5], [0.7, 0.2], [0.1, 0.4], [0.3, 0.9]], np.float32))
LABELS = np.array([0, 0, 1, 1])
DISTANCES = np.array([0.4, 0.2, 0.4, 0.2])

DEEPFOOL = resolve_method("deepfool")
DDN = resolve_method("ddn")
CARLINI_WAGNER = resolve_method("carlini_wagner", {"steps": 60, "stepsize": 0.05})
CW_IN_FOOLBOX = {
    "steps": 60,
    "stepsize": 0.05,
    "binary_search_steps": 5,
    "initial_const": 1e-2,
    "abort_early": False,
}
MINIMAL = resolve_method("minimal")
ATTACKS = {"deepfool": DEEPFOOL, "ddn": DDN, "carlini_wagner": CARLINI_WAGNER, "minimal": MINIMAL}
EACH_ATTACK = pytest.mark.parametrize("method", list(ATTACKS.values()), ids=list(ATTACKS))


class Of(nn.Module):
    """A network that is a function of the images."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


def foolbox_itself(attack, network, images, labels):
    """Perturbed images, distances and success as Foolbox states them."""
    clean = torch.as_tensor(images)
    wrapped = PyTorchModel(network.eval(), bounds=(0, 1))
    perturbed, _, success = attack(
        wrapped, clean, Misclassification(torch.as_tensor(labels)), epsilons=None
    )
    return perturbed.numpy(), (perturbed - clean).flatten(1).norm(dim=1).numpy(), success.numpy()


def predicted(network, images, size=None):
    with torch.no_grad():
        parts = torch.as_tensor(images).split(size or len(images))
        return torch.cat([network(part).argmax(1) for part in parts]).numpy()


def line_of(n_pixels, gaps):
    """A linear network, and images that lie so far from its boundary, far from the box."""
    random = np.random.default_rng(0)
    normal = random.normal(size=n_pixels)
    normal /= np.linalg.norm(normal)
    points = random.uniform(0.4, 0.6, size=(len(gaps), n_pixels))
    points += (np.asarray(gaps) - (points - 0.5) @ normal)[:, None] * normal
    network = linear_network(np.stack([normal, 0 * normal]), [-0.5 * normal.sum(), 0.0])
    return network, as_images(points), np.zeros(len(gaps), int)


@pytest.fixture(scope="module")
def digits():
    dataset = load_dataset("digits")
    rows = dataset.rows("test")[:64]
    return (
        load_model("small_cnn", dataset).network.eval(),
        dataset.pixels(rows),
        dataset.labels(rows),
    )


# 1. L2FMNAttack never projects


def test_1_fmn_is_not_offered_since_foolbox_never_projects():
    network, images, labels = line_of(64, np.linspace(0.05, 0.2, 8))
    _, fmn, success = foolbox_itself(L2FMNAttack(), network, images, labels)
    _, deepfool, _ = foolbox_itself(L2DeepFoolAttack(), network, images, labels)
    assert success.all()
    assert (fmn > 3 * deepfool).all()
    assert "fmn" not in METHODS
    for name in ATTACKS:
        budget = (
            ":paper" if name == "carlini_wagner" else ""
        )  # its default trades this toy for real images: carlini_wagner.md
        found = estimate_arrays(network, images, labels, *resolve_method(name + budget))
        assert (found.distance < 1.1 * deepfool).all(), name


# 2. A failed Carlini-Wagner attack is a black image


def test_2_saturated_probabilities_are_refused_where_foolbox_returns_black_images_as_successes():
    saturated = Of(lambda images: (1000 * LINE(images)).softmax(1))
    perturbed, distances, success = foolbox_itself(
        L2CarliniWagnerAttack(**CW_IN_FOOLBOX), saturated, POINTS[:2], LABELS[:2]
    )
    assert success.all() and (perturbed == 0).all()
    np.testing.assert_allclose(
        distances, np.linalg.norm(POINTS[:2].reshape(2, 2), axis=1), rtol=1e-6
    )
    for method in ATTACKS.values():
        with pytest.raises(MethodError, match="gives probabilities; remove its softmax"):
            estimate_arrays(saturated, POINTS, LABELS, *method)


def test_2_a_black_image_never_counts_even_where_the_network_calls_it_another_class():
    one_step = {"steps": 1, "binary_search_steps": 1, "stepsize": 1e-3}
    perturbed, _, success = foolbox_itself(
        L2CarliniWagnerAttack(**one_step, abort_early=False), LINE, POINTS[:2], LABELS[:2]
    )
    assert success.all() and (perturbed == 0).all()
    method = resolve_method("carlini_wagner", one_step)
    alone = estimate_arrays(LINE, POINTS[:2], LABELS[:2], *method)
    assert list(alone.status) == ["failed"] * 2 and np.isnan(alone.distance).all()
    among_others = estimate_arrays(LINE, POINTS, LABELS, *method)
    assert list(among_others.status) == ["fallback"] * 4
    assert (np.ptp(among_others.perturbed.reshape(4, -1), axis=1) > 0).all()


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_2_a_gray_or_white_image_never_counts_either(value):
    gray = Method(
        "gray",
        "Gray",
        lambda _, batch: AttackResult(torch.full_like(batch.images, value)),
        "upper",
        "gray",
    )
    labels = 1 - predicted(LINE, np.full_like(POINTS[:1], value)).repeat(2)
    of_another_class = POINTS[labels[0] == LABELS]
    found = estimate_arrays(LINE, of_another_class, labels, gray, {})
    assert list(found.status) == ["failed"] * 2 and np.isnan(found.distance).all()


# 3. A failure is no distance


@pytest.mark.parametrize("attack", [DDNAttack(steps=1), L2FMNAttack(steps=1)], ids=["ddn", "fmn"])
def test_3_the_clean_image_that_ddn_and_fmn_return_on_failure_is_no_distance_of_0(attack):
    _, distances, success = foolbox_itself(attack, LINE, POINTS, LABELS)
    assert not success.any() and (distances == 0).all()
    unchanged = Method(
        "unchanged",
        "Unchanged",
        lambda _, batch: AttackResult(batch.images),
        "upper",
        "as DDN fails",
    )
    for method in (resolve_method("ddn", {"steps": 1}), (unchanged, {})):
        alone = estimate_arrays(LINE, POINTS[:2], LABELS[:2], *method)
        assert list(alone.status) == ["failed"] * 2
        assert np.isnan(alone.distance).all() and np.isnan(alone.perturbed).all()
        among_others = estimate_arrays(LINE, POINTS, LABELS, *method)
        assert (
            list(among_others.status) == ["fallback"] * 4
            and (among_others.distance >= DISTANCES).all()
        )


def test_3_a_deepfool_image_that_moved_but_crossed_nothing_does_not_count():
    """One step on a network that is steeper far from its boundary: the linearized boundary lies
    short of the true one.
    """

    def steeper(images):
        beyond = images.flatten(1)[:, 0] - 0.5
        return torch.stack([beyond + 10 * beyond**3, 0 * beyond], 1)

    bent = Of(steeper)
    perturbed, distances, success = foolbox_itself(L2DeepFoolAttack(steps=1), bent, POINTS, LABELS)
    assert not success.any() and (distances > 0.05).all()
    assert (predicted(bent, perturbed) == LABELS).all()
    method = resolve_method("deepfool", {"steps": 1})
    assert list(estimate_arrays(bent, POINTS[:2], LABELS[:2], *method).status) == ["failed"] * 2
    found = estimate_arrays(bent, POINTS, LABELS, *method)
    assert list(found.status) == ["fallback"] * 4 and (found.distance >= DISTANCES).all()


# 4. Misclassified images are not at distance 0


def test_4_misclassified_images_are_counted_and_have_no_distance():
    labels = np.array([0, 1, 1, 0])  # the second and the last are wrong
    for attack in (L2DeepFoolAttack(), DDNAttack(), L2CarliniWagnerAttack(**CW_IN_FOOLBOX)):
        _, distances, success = foolbox_itself(attack, LINE, POINTS, labels)
        assert success.all() and (distances[[1, 3]] < 1e-4).all()
    for method in ATTACKS.values():
        found = estimate_arrays(LINE, POINTS, labels, *method)
        assert list(found.status) == ["found", "misclassified", "found", "misclassified"]
        assert (
            np.isnan(found.distance[[1, 3]]).all()
            and (found.perturbed_prediction[[1, 3]] == -1).all()
        )
        np.testing.assert_allclose(found.distance[[0, 2]], DISTANCES[[0, 2]], rtol=0.03)


def test_4_misclassified_images_never_reach_the_method():
    seen = []

    def run(network, batch):
        seen.append(batch.labels.tolist())
        return AttackResult(batch.images)

    estimate_arrays(
        LINE, POINTS, np.array([0, 1, 1, 0]), Method("m", "M", run, "upper", "looks"), {}
    )
    assert seen == [[0, 1]]


# 6. What Foolbox's DeepFool costs and where it runs


def test_6_the_cost_of_deepfool_is_counted_in_full():
    """Foolbox sends every image forward once a class, and finished ones until the last of
    the batch is done.
    """
    network = smooth_network(n_classes=6)
    points = as_images(np.random.default_rng(0).uniform(0.2, 0.8, size=(12, 6)).astype(np.float32))
    labels = predicted(network, points)

    def cost(images, labels):
        counted = CountedNetwork(network)
        attack, clean = L2DeepFoolAttack(), torch.as_tensor(images)
        attack.run(
            PyTorchModel(counted.eval(), bounds=(0, 1)),
            clean,
            Misclassification(torch.as_tensor(labels)),
        )
        return counted.take_counts()

    alone = [cost(points[[i]], labels[[i]]) for i in range(12)]
    together = cost(points, labels)
    # alone: the clean image, 5 classes a step, and one more to see that it is done
    assert all((one["n_forward"] - 2) % 5 == 0 for one in alone)
    assert together["n_forward"] == 12 * max(one["n_forward"] for one in alone)
    assert together["n_forward"] > sum(one["n_forward"] for one in alone)

    engine = Engine(
        network,
        Samples.of_arrays(points, labels),
        *DEEPFOOL,
        batch_size=12,
    )
    found = engine.estimate(np.arange(12))
    counts = engine.network.take_counts()
    assert set(found.status) == {"found"}
    assert 0 <= counts["n_backward"] - together["n_backward"] <= 12
    assert (
        counts["n_forward"] >= together["n_forward"] + 2 * 12
    )  # and the clean and the perturbed image again


def test_6_an_early_stop_that_foolbox_ignores_is_a_cancel_that_we_obey():
    network = smooth_network(n_classes=6)
    points = as_images(np.random.default_rng(0).uniform(0.2, 0.8, size=(12, 6)).astype(np.float32))
    labels = predicted(network, points)
    clean, criterion = torch.as_tensor(points), Misclassification(torch.as_tensor(labels))
    wrapped = PyTorchModel(network.eval(), bounds=(0, 1))
    usual, stopped = (
        L2DeepFoolAttack().run(wrapped, clean, criterion, early_stop=stop) for stop in (None, 1e9)
    )
    assert torch.equal(usual, stopped)

    asked = []

    def at_the_fourth_pass():
        asked.append(None)
        return len(asked) == 4

    with pytest.raises(Cancelled):
        estimate_arrays(
            CheckedNetwork(network, cancel=at_the_fourth_pass), points, labels, *DEEPFOOL
        )
    assert len(asked) == 4


@EACH_ATTACK
def test_6_nothing_moves_to_a_gpu_unasked(method, monkeypatch):
    """Told no device, Foolbox takes cuda:0 wherever torch says there is one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert get_device(None) == torch.device("cuda:0")
    found = estimate_arrays(LINE, POINTS, LABELS, *method)
    assert set(found.status) == {"found"} and LINE[1].weight.device.type == "cpu"


# 7. Images exactly on the boundary


def bisected(kept):
    """A method that bisects to the last bit that still counts, at the batch size it
    happens to see.
    """

    def run(network, batch):
        inside, outside = batch.images, 1 - batch.images
        for _ in range(40):
            middle = (inside + outside) / 2
            crossed = (in_passes(network, middle, batch.size).argmax(1) != batch.labels).view(
                -1, 1, 1, 1
            )
            inside, outside = (
                torch.where(crossed, inside, middle),
                torch.where(crossed, middle, outside),
            )
        kept.append(outside.detach().numpy())
        return AttackResult(outside)

    return Method("bisected", "Bisected", run, "upper", "to the last bit"), {}


@pytest.mark.parametrize(
    "noise", [lambda n: 5e-7 * n, lambda n: 2e-6 * (n > 1)], ids=["by size", "alone or not"]
)
def test_7_a_stored_prediction_is_true_at_every_batch_size(noise):
    """As on real hardware the last bits of the logits depend on how many images share a pass."""

    class Shared(nn.Module):
        def forward(self, images):
            logits = LINE(images)
            return torch.stack([logits[:, 0] - noise(len(images)), logits[:, 1]], 1)

    network, kept = Shared(), []
    images = POINTS[[0, 1, 0, 1]] - np.float32([0.05, 0])
    fallback_targets = np.concatenate([images, POINTS[[2, 3, 2, 3]]])
    found = estimate_arrays(
        network, fallback_targets, np.array([0, 0, 0, 0, 1, 1, 1, 1]), *bisected(kept), batch_size=4
    )
    raw = np.concatenate(kept)[:4]
    assert (predicted(network, raw, 4) == 1).all() and (predicted(network, raw, 1) == 0).all()
    assert np.isfinite(found.distance).all()
    for size in (1, 2, 3, 4, 8):
        np.testing.assert_array_equal(
            predicted(network, found.perturbed, size), found.perturbed_prediction
        )


@pytest.mark.slow
@EACH_ATTACK
def test_7_stored_predictions_on_digits_are_true_at_every_batch_size(digits, method):
    network, images, labels = (
        part[:24] if isinstance(part, np.ndarray) else part for part in digits
    )
    found = estimate_arrays(network, images, labels, *method, batch_size=24)
    has = np.isfinite(found.distance)
    assert has.sum() >= 20
    for size in (1, 2, 5, 24):
        again = predicted(network, found.perturbed[has], size)
        np.testing.assert_array_equal(again, found.perturbed_prediction[has])


# 8. Absolute step sizes


def test_8_ddn_overstates_small_distances_and_its_first_radius_is_ours_to_set():
    gaps = np.array([5e-4, 5e-3, 5e-2])
    network, images, labels = line_of(64, gaps)
    _, raw, success = foolbox_itself(DDNAttack(), network, images, labels)
    assert success.all() and raw[0] > 5 * gaps[0] and raw[2] < 1.05 * gaps[2]
    smaller = estimate_arrays(
        network, images, labels, *resolve_method("ddn", {"init_epsilon": 0.001})
    )
    assert list(smaller.status) == ["found"] * 3
    assert (smaller.distance >= gaps * (1 - 1e-6)).all() and smaller.distance[0] < 1.1 * gaps[0]


# 9. Gradients of parameters


def test_9_foolbox_fills_gradients_of_parameters_and_we_do_not():
    raw = smooth_network()
    points = as_images(np.random.default_rng(0).uniform(0.2, 0.8, size=(4, 6)).astype(np.float32))
    labels = predicted(raw, points)
    foolbox_itself(DDNAttack(steps=2), raw, points, labels)
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0
        for parameter in raw.parameters()
    )
    for method in ATTACKS.values():
        network = smooth_network()
        kept = torch.full_like(network[1].weight, 7.0)
        network[1].weight.grad = kept.clone()
        network[3].bias.requires_grad_(False)
        network.train()
        estimate_arrays(network, points, labels, *method)
        assert torch.equal(network[1].weight.grad, kept)
        assert network[1].bias.grad is None and network[3].weight.grad is None
        assert [parameter.requires_grad for parameter in network.parameters()] == [
            True,
            True,
            True,
            False,
        ]
        assert network.training and network[2].training


def test_9_what_was_frozen_is_restored_after_an_error_and_after_a_cancel():
    def fail(network, batch):
        raise ValueError("an attack that breaks")

    network = smooth_network().train()
    points = as_images(np.random.default_rng(0).uniform(0.2, 0.8, size=(4, 6)).astype(np.float32))
    labels = predicted(network, points)
    with pytest.raises(ValueError, match="breaks"):
        estimate_arrays(network, points, labels, Method("f", "F", fail, "upper", "fails"), {})
    asked = []
    with pytest.raises(Cancelled):
        estimate_arrays(
            CheckedNetwork(network, cancel=lambda: len(asked) > 3 or asked.append(None)),
            points,
            labels,
            *DDN,
        )
    assert len(asked) == 4
    assert network.training and all(parameter.requires_grad for parameter in network.parameters())


# 10. Bounds to the last bit


@EACH_ATTACK
def test_10_rounding_beyond_the_box_is_no_error_and_more_is_one_that_speaks(method):
    images = POINTS.copy()
    images[0, 0, 0, 1] = -1e-7
    images[3, 0, 0, 1] = 1 + 1e-7
    with pytest.raises(AssertionError) as raw:
        foolbox_itself(L2DeepFoolAttack(), LINE, images, LABELS)
    assert str(raw.value) == ""
    found = estimate_arrays(LINE, images, LABELS, *method)
    assert set(found.status) == {"found"}
    np.testing.assert_allclose(found.distance, DISTANCES, rtol=0.03)
    assert found.perturbed.min() >= 0 and found.perturbed.max() <= 1
    images[3, 0, 0, 1] = 1.01
    with pytest.raises(MethodError, match=r"must lie in \[0, 1\]; these span \[-1e-07, 1\.01\]"):
        estimate_arrays(LINE, images, LABELS, *method)


# 11. Eight bits


def test_11_the_stored_prediction_is_that_of_the_float_image(digits):
    network, images, labels = digits
    found = estimate_arrays(network, images, labels, *DEEPFOOL)
    has = found.status == "found"
    assert has.sum() > 50
    np.testing.assert_array_equal(
        predicted(network, found.perturbed[has]), found.perturbed_prediction[has]
    )
    assert (found.perturbed_prediction[has] != labels[has]).all()
    as_png = (np.round(255 * found.perturbed[has]) / 255).astype(np.float32)
    still = predicted(network, as_png) == found.perturbed_prediction[has]
    assert 0.2 < still.mean() < 0.9  # so a prediction stored of the rounded image would differ


# 12. Normalization


class Normalize(nn.Module):
    def forward(self, images):
        return (images - 0.5) / 0.25


@EACH_ATTACK
def test_12_distances_are_of_pixels_when_the_normalization_is_inside_the_model(method):
    """The same boundary in pixels as LINE, whose distances in normalized space would be four
    times as large.
    """
    bare = linear_network(np.array([[1.0, 0.0], [0.0, 0.0]], np.float32), np.zeros(2, np.float32))
    normalized = ((POINTS - 0.5) / 0.25).astype(np.float32)
    perturbed = L2DeepFoolAttack().run(
        PyTorchModel(bare.eval(), bounds=(-2, 2)),
        torch.as_tensor(normalized),
        Misclassification(torch.as_tensor(LABELS)),
    )
    raw = (perturbed - torch.as_tensor(normalized)).flatten(1).norm(dim=1).numpy()
    np.testing.assert_allclose(raw, 4 * DISTANCES, rtol=0.03)

    found = estimate_arrays(nn.Sequential(Normalize(), bare), POINTS, LABELS, *method)
    assert set(found.status) == {"found"}
    np.testing.assert_allclose(found.distance, DISTANCES, rtol=0.03)
    with pytest.raises(MethodError, match="Put the normalization into the model"):
        estimate_arrays(bare, normalized, LABELS, *method)


# Zero gradients and NaN


class Rounded(nn.Module):
    """Logits in steps of a quarter: the boundary is LINE's to within a step, and no
    gradient leads there.
    """

    def forward(self, images):
        return (4 * LINE(images)).round() / 4


@pytest.mark.parametrize(
    "method",
    [
        DEEPFOOL,
        CARLINI_WAGNER,
        MINIMAL,
        DDN,
    ],
    ids=["deepfool", "carlini_wagner", "minimal", "ddn"],
)
def test_a_network_with_zero_gradients_is_refused_and_told_so(method):
    _, _, success = foolbox_itself(L2DeepFoolAttack(), Rounded(), POINTS, LABELS)
    assert not success.any()
    with pytest.raises(MethodError, match="zero gradient"):
        estimate_arrays(Rounded(), POINTS, LABELS, *method)


def test_a_batch_without_gradients_does_not_condemn_a_network_that_has_them_elsewhere():
    """Flat on one side of 0.5: the last four images fall back, although no image of their batch
    has a gradient.
    """

    def one_sided(images):
        beyond = (images.flatten(1)[:, 0] - 0.5).clamp_min(0)
        return torch.stack([beyond - 0.1, 0 * beyond], 1)

    images = POINTS[[0, 1, 0, 1, 2, 3, 2, 3]]
    found = estimate_arrays(Of(one_sided), images, np.repeat([0, 1], 4), *DEEPFOOL, batch_size=1)
    assert list(found.status) == ["found"] * 4 + ["fallback"] * 4


@EACH_ATTACK
def test_nan_and_infinite_logits_are_refused(method):
    for value in (np.nan, np.inf):
        broken = Of(lambda images, value=value: LINE(images) + torch.tensor([0.0, value]))
        with pytest.raises(MethodError, match="NaN or infinite"):
            estimate_arrays(broken, POINTS, LABELS, *method)


@EACH_ATTACK
def test_nan_logits_of_a_perturbed_image_are_no_success(method):
    """A network that breaks where the attack leads: class 0 gets NaN below 0.6, and argmax calls
    NaN the largest.
    """

    def breaks(images):
        first = images.flatten(1)[:, 0]
        return torch.stack([torch.where(first < 0.6, torch.nan, 0 * first), first - 0.3], 1)

    images, labels = POINTS[:2], np.array([1, 1])
    perturbed, _, success = foolbox_itself(L2DeepFoolAttack(), Of(breaks), images, labels)
    assert success.all() and Of(breaks)(torch.as_tensor(perturbed))[:, 0].isnan().all()
    found = estimate_arrays(Of(breaks), images, labels, *method)
    assert list(found.status) == ["failed"] * 2 and np.isnan(found.distance).all()
