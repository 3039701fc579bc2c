"""Our wrappers against Foolbox itself, called directly on the same images of the same networks."""

import inspect

import numpy as np
import pytest
import torch
from foolbox import PyTorchModel
from foolbox.attacks import DDNAttack, L2CarliniWagnerAttack, L2DeepFoolAttack
from foolbox.criteria import Misclassification

from rbcore.datasets import load_dataset
from rbcore.distances import METHODS, resolve_method
from rbcore.distances.engine import Engine, estimate_arrays
from rbcore.distances.networks import CheckedNetwork
from rbcore.distances.samples import Samples
from rbcore.errors import Cancelled, MethodError
from rbcore.runs.loading import load_model
from tests.toys import as_images, linear_network, smooth_network

FOOLBOX = {"deepfool": L2DeepFoolAttack, "carlini_wagner": L2CarliniWagnerAttack, "ddn": DDNAttack}
FAST_CW = {"steps": 30, "binary_search_steps": 3, "stepsize": 0.05, "initial_const": 0.1}
QUICK = {"deepfool": {}, "carlini_wagner": FAST_CW, "ddn": {}}


def smooth(dtype, n=24):
    network = smooth_network(dtype, n_classes=6).requires_grad_(False).eval()
    points = as_images(np.random.default_rng(3).uniform(0.2, 0.8, size=(n, 6))).astype(
        str(dtype).split(".")[1]
    )
    return network, points, network(torch.as_tensor(points)).argmax(1).numpy()


@pytest.fixture(scope="module")
def digits():
    dataset = load_dataset("digits")
    rows = dataset.rows("test")[:16]
    network = load_model("small_cnn", dataset).network.eval()
    images, labels = dataset.pixels(rows), dataset.labels(rows)
    with torch.no_grad():
        right = network(torch.as_tensor(images)).argmax(1).numpy() == labels
    return network, images[right][:12], labels[right][:12]


def foolbox_itself(attack, network, images, labels):
    """Perturbed images, distances and success as Foolbox states them."""
    clean = torch.as_tensor(images)
    perturbed, _, success = attack(
        PyTorchModel(network, bounds=(0, 1)),
        clean,
        Misclassification(torch.as_tensor(labels)),
        epsilons=None,
    )
    return perturbed.numpy(), (perturbed - clean).flatten(1).norm(dim=1).numpy(), success.numpy()


OTHER_SETTINGS = [
    ("deepfool", {}),
    ("deepfool", {"steps": 1}),
    ("deepfool", {"candidates": 2}),
    ("deepfool", {"overshoot": 0.3}),
    ("carlini_wagner", FAST_CW),
    ("carlini_wagner", FAST_CW | {"steps": 20}),
    ("carlini_wagner", FAST_CW | {"binary_search_steps": 2}),
    ("carlini_wagner", FAST_CW | {"stepsize": 0.1}),
    ("carlini_wagner", FAST_CW | {"initial_const": 1.0}),
    ("carlini_wagner", FAST_CW | {"confidence": 0.5}),
    ("ddn", {}),
    ("ddn", {"steps": 30}),
    ("ddn", {"init_epsilon": 0.3}),
    ("ddn", {"gamma": 0.2}),
]


@pytest.mark.parametrize(("name", "given"), OTHER_SETTINGS)
def test_the_numbers_are_those_of_foolbox(name, given):
    """Every parameter reaches the attack: each set of values gives Foolbox's own distances, and no
    two give the same.
    """
    network, images, labels = smooth(torch.float32)
    always = {"abort_early": False} if name == "carlini_wagner" else {}
    expected, distances, success = foolbox_itself(
        FOOLBOX[name](**given, **always), network, images, labels
    )
    found = estimate_arrays(network, images, labels, *resolve_method(name, given))
    is_found = found.status == "found"
    is_black = (expected == 0).all(
        axis=(1, 2, 3)
    )  # CW where it failed, though Foolbox may call it a success
    np.testing.assert_array_equal(is_found, success & ~is_black)
    assert is_found.sum() >= 6
    assert_same_as_foolbox(found.distance[is_found], distances[is_found])
    is_same = np.isclose(found.perturbed[is_found], expected[is_found], rtol=0, atol=1e-6).all(
        axis=(1, 2, 3)
    )
    assert is_same.mean() >= 0.9
    base = QUICK[name]
    if given != base:
        usual = estimate_arrays(network, images, labels, *resolve_method(name, base))
        assert not np.allclose(usual.distance, found.distance, rtol=0, atol=1e-5, equal_nan=True)


def assert_same_as_foolbox(ours, theirs):
    """The engine may move an image on the boundary 0.1% farther, so that its prediction holds, but
    not a tenth of all.
    """
    ratio = ours / theirs
    assert (ratio > 1 - 1e-5).all() and (ratio < 1.0011).all()
    assert (ratio < 1 + 1e-5).mean() >= 0.9


@pytest.mark.parametrize("name", list(FOOLBOX))
def test_the_numbers_are_those_of_foolbox_on_digits(digits, name):
    always = {"abort_early": False} if name == "carlini_wagner" else {}
    _, distances, success = foolbox_itself(FOOLBOX[name](**QUICK[name], **always), *digits)
    found = estimate_arrays(*digits, *resolve_method(name, QUICK[name]))
    assert success.all() and set(found.status) == {"found"}
    assert_same_as_foolbox(found.distance, distances)


def test_presets_are_the_numbers_of_the_paper_and_of_foolbox():
    assert resolve_method("carlini_wagner:paper")[1] == {
        "steps": 100,
        "binary_search_steps": 5,
        "stepsize": 5e-3,
        "initial_const": 1e-2,
        "confidence": 0.0,
    }
    assert resolve_method("ddn")[1] == resolve_method("ddn:foolbox")[1]


@pytest.mark.parametrize("name", list(FOOLBOX))
def test_the_foolbox_preset_is_what_foolbox_takes_when_told_nothing(name):
    defaults = {
        key: value.default for key, value in inspect.signature(FOOLBOX[name]).parameters.items()
    }
    preset = resolve_method(f"{name}:foolbox")[1]
    assert preset == {key: defaults[key] for key in preset}
    left_out = {"deepfool": {"loss"}, "carlini_wagner": {"abort_early"}, "ddn": set()}
    assert set(defaults) - set(preset) == left_out[name]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("carlini_wagner", {"stepsize": 0}),
        ("carlini_wagner", {"steps": 2.5}),
        ("carlini_wagner", {"binary_search_steps": 0}),
        ("carlini_wagner", {"confidence": -1}),
        ("carlini_wagner", {"initial_const": 0}),
        ("ddn", {"gamma": 1}),
        ("ddn", {"init_epsilon": 0}),
        ("ddn", {"steps": 0}),
    ],
)
def test_values_out_of_range_are_refused(name, given):
    with pytest.raises(MethodError, match=f"{next(iter(given))}="):
        resolve_method(name, given)


def test_a_carlini_wagner_distance_does_not_depend_on_its_neighbors():
    """Foolbox's early stop looks at the loss of the whole batch, so with it the same image gets
    another distance alone.
    """
    network, images, labels = smooth(torch.float64, n=6)
    raw = {}
    for early in (True, False):
        attack = L2CarliniWagnerAttack(**FAST_CW, abort_early=early)
        together = foolbox_itself(attack, network, images, labels)[1]
        alone = [
            foolbox_itself(attack, network, images[[i]], labels[[i]])[1][0]
            for i in range(len(images))
        ]
        raw[early] = np.abs(together - alone) / alone
    assert raw[True].max() > 0.01
    assert raw[False].max() < 1e-6

    method = resolve_method("carlini_wagner", FAST_CW)
    runs = [
        estimate_arrays(network, images, labels, *method, batch_size=size) for size in (6, 4, 1)
    ]
    assert set(runs[0].status) == {"found"}
    for run in runs[1:]:
        np.testing.assert_allclose(run.distance, runs[0].distance, rtol=1e-6)


def test_a_ddn_distance_does_not_depend_on_its_neighbors():
    network, images, labels = smooth(torch.float64, n=8)
    runs = [
        estimate_arrays(network, images, labels, *resolve_method("ddn"), batch_size=size)
        for size in (8, 5, 1)
    ]
    assert set(runs[0].status) == {"found"}
    for run in runs[1:]:
        np.testing.assert_allclose(run.distance, runs[0].distance, rtol=1e-6)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", list(FOOLBOX))
def test_no_upper_bound_lies_below_the_exact_distance(name, seed):
    random = np.random.default_rng(seed)
    network = linear_network(random.normal(size=(4, 12)), 0.3 * random.normal(size=4))
    images = as_images(random.uniform(0.25, 0.75, size=(20, 12)))
    labels = network(torch.as_tensor(images)).argmax(1).numpy()
    exact = estimate_arrays(network, images, labels, *resolve_method("exact")).distance
    given = (
        {"steps": 100, "stepsize": 0.05, "initial_const": 0.1} if name == "carlini_wagner" else {}
    )
    found = estimate_arrays(network, images, labels, *resolve_method(name, given))
    assert METHODS[name].bound == "upper" and set(found.status) == {"found"}
    assert (found.distance >= exact * (1 - 1e-6)).all()
    assert np.median(found.distance / exact) < 1.05


@pytest.mark.slow
def test_carlini_wagner_as_it_is_offered_is_an_attack_and_the_papers_budget_is_not(digits):
    """The paper's was the default: half of the digits by the fallback, and signs of
    sigma rested on it.
    """
    found = estimate_arrays(*digits, *resolve_method("carlini_wagner"))
    assert np.mean(found.status == "found") >= 0.99
    paper = estimate_arrays(*digits, *resolve_method("carlini_wagner:paper"))
    assert np.mean(paper.status == "found") < 0.7
    assert np.median(found.distance) < 0.8 * np.nanmedian(paper.distance)


@pytest.mark.slow
def test_carlini_wagner_is_not_farther_than_deepfool_in_the_mean(digits):
    deepfool = estimate_arrays(*digits, *resolve_method("deepfool"))
    given = {"steps": 150, "stepsize": 0.05}
    carlini_wagner = estimate_arrays(*digits, *resolve_method("carlini_wagner", given))
    assert set(carlini_wagner.status) == set(deepfool.status) == {"found"}
    assert carlini_wagner.distance.mean() <= deepfool.distance.mean()


def test_confidence_is_a_margin_in_logits():
    network, images, labels = smooth(torch.float32)
    given = {"steps": 100, "stepsize": 0.05, "confidence": 0.5}
    found = estimate_arrays(network, images, labels, *resolve_method("carlini_wagner", given))
    reached = found.status == "found"
    assert reached.sum() >= 12
    logits = network(torch.as_tensor(found.perturbed[reached])).numpy()
    own = logits[np.arange(len(logits)), labels[reached]]
    margin = logits.max(1) - own
    assert (margin >= 0.5 - 1e-5).all() and np.median(margin) < 0.6


def test_the_papers_learning_rate_sets_how_far_carlini_wagner_can_go():
    """Each of 100 steps of Adam moves at most about 5e-3 in inverse tanh: from 0.9 to 0.5 is 1.1,
    from 0.7 to 0.5 is 0.42.
    """
    line = linear_network(
        np.array([[1.0, 0.0], [0.0, 0.0]], np.float32), np.array([-0.5, 0.0], np.float32)
    )
    points, labels = (
        as_images(np.array([[0.9, 0.5], [0.7, 0.2], [0.2, 0.4]], np.float32)),
        np.array([0, 0, 1]),
    )
    paper = estimate_arrays(line, points, labels, *resolve_method("carlini_wagner:paper"))
    assert list(paper.status) == ["fallback", "found", "fallback"]
    faster = estimate_arrays(
        line, points, labels, *resolve_method("carlini_wagner:paper", {"stepsize": 0.05})
    )
    assert list(faster.status) == ["found"] * 3
    np.testing.assert_allclose(faster.distance, [0.4, 0.2, 0.3], rtol=0.01)


@pytest.mark.parametrize("name", ["carlini_wagner", "ddn"])
def test_passes_are_as_announced(name):
    network, images, labels = smooth(torch.float32)
    method, parameters = resolve_method(name, QUICK[name])
    engine = Engine(
        network, Samples.of_arrays(images, labels, np.arange(24)), method, parameters, batch_size=7
    )
    done = []
    engine.estimate(np.arange(24), done.append)
    beyond = engine.network.take_counts()["n_backward"] - 24 * method.passes(parameters)
    assert 0 <= beyond <= 7  # the engine may send one pass of its own
    assert done == [7, 7, 7, 3]


@pytest.mark.parametrize("name", ["carlini_wagner", "ddn"])
def test_cancel_stops_within_a_step(name):
    asked = []

    def after_ten_passes():
        asked.append(None)
        return len(asked) > 10

    with pytest.raises(Cancelled):
        network, images, labels = smooth(torch.float32)
        stopped = CheckedNetwork(network, cancel=after_ten_passes)
        estimate_arrays(stopped, images, labels, *resolve_method(name))
    assert len(asked) == 11


def test_what_ddn_draws_at_random_is_repeated_and_leaves_the_generator_alone():
    """Where the gradient is exactly zero DDN draws a direction, in Foolbox from whatever torch's
    generator holds.
    """

    class Stairs(torch.nn.Module):
        """Flat but for its steps and for the images whose first pixel exceeds 0.9."""

        def forward(self, images):
            flat = images.flatten(1)
            height = (8 * flat.mean(1) - 4).round() + 0.5 + (flat[:, 0] - 0.9).clamp_min(0)
            return torch.stack([height, torch.zeros_like(height)], 1)

    images = as_images(np.random.default_rng(0).uniform(0.4, 0.7, size=(6, 4)).astype(np.float32))
    images[0, 0, 0, 0] = 0.95
    labels = Stairs()(torch.as_tensor(images)).argmax(1).numpy()
    raw, ours = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        raw.append(foolbox_itself(DDNAttack(), Stairs().eval(), images, labels)[1])
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        ours.append(estimate_arrays(Stairs(), images, labels, *resolve_method("ddn")))
        assert torch.equal(torch.get_rng_state(), before)
    assert (raw[0] != raw[1]).any()
    assert set(ours[0].status) == {"found"}
    np.testing.assert_array_equal(ours[0].distance, ours[1].distance)
