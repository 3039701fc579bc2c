import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from rbcore.datasets import load_dataset
from rbcore.distances import resolve_method
from rbcore.distances.engine import estimate_arrays
from rbcore.distances.networks import CheckedNetwork, CountedNetwork
from rbcore.distances.samples import Samples
from rbcore.distances.smoothing.certify import certify
from rbcore.distances.smoothing.noise import noisy_passes
from rbcore.distances.smoothing.radii import (
    ceiling,
    certified_radius,
    lower_confidence_bound,
)
from rbcore.distances.smoothing.voting import pass_size, voting_network
from rbcore.errors import Cancelled, MethodError, UnknownNameError
from rbcore.runs.loading import load_model
from tests.toys import as_images, linear_network, smooth_network

NORMAL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
LINE = linear_network(NORMAL, np.array([-0.5, 0.0]))  # class 0 where the first pixel exceeds 0.5


def line_points(distances) -> np.ndarray:
    points = np.full((len(distances), 3), 0.5)
    points[:, 0] += distances
    return as_images(points)


def certificates(
    network, images, labels, batch_size=128, seeds=None, cancel=lambda: False, **parameters
):
    return estimate_arrays(
        CheckedNetwork(network, cancel=cancel),
        images,
        labels,
        *resolve_method("smoothing", parameters),
        batch_size=batch_size,
        seeds=seeds,
    )


@pytest.fixture(scope="module")
def digits():
    dataset = load_dataset("digits")
    rows = dataset.rows("test")[:60]
    return load_model("small_cnn", dataset).network, dataset.pixels(rows), dataset.labels(rows)


@pytest.fixture(scope="module")
def toy():
    network = smooth_network(torch.float64)
    images = as_images(np.random.default_rng(1).uniform(0.2, 0.8, size=(40, 6)))
    return network, images, network(torch.as_tensor(images)).argmax(1).numpy()


def test_votes_and_radii_are_those_of_a_plain_reference(toy):
    """CERTIFY as the paper's pseudocode has it, one image at a time, on the same noisy copies."""
    network, images, labels = toy
    noise, n0, n, alpha = 0.4, 30, 300, 0.01
    found = certificates(network, images, labels, noise=noise, n0=n0, n=n, alpha=alpha)
    statuses = []
    for row, image in enumerate(images):
        passes = noisy_passes(
            torch.as_tensor(image[None]), np.array([row]), noise=noise, draws=n0 + n, size=50
        )
        classes = [int(one) for copies in passes for one in network(copies).argmax(1)]
        guess = max(range(3), key=classes[:n0].count)
        votes = classes[n0:].count(guess)
        lower = (
            stats.binomtest(votes, n, alternative="greater")
            .proportion_ci(1 - alpha, method="exact")
            .low
        )
        radius = noise * stats.norm.ppf(lower) if lower > 0.5 else 0.0
        statuses.append(
            "abstained" if lower <= 0.5 else "certified" if guess == labels[row] else "overruled"
        )
        assert found.columns["votes"][row] == votes
        assert found.columns["smoothed_prediction"][row] == (guess if lower > 0.5 else -1)
        assert found.distance[row] == pytest.approx(
            radius if guess == labels[row] else 0.0, rel=1e-9
        )
    assert list(found.status) == statuses
    assert {"abstained", "certified"} <= set(statuses)


def test_the_pass_size_is_measured_once_and_never_above_what_is_allowed():
    network, image = CountedNetwork(LINE), torch.zeros(1, 1, 1, 3, dtype=torch.float64)
    voter = voting_network(network, image)
    assert voting_network(network, image) is voter
    size = pass_size(voter, image, 100)
    assert 16 <= size <= 100 and pass_size(voter, image, 100) == size
    assert pass_size(voter, image, 3) == 3
    assert pass_size(voting_network(CountedNetwork(LINE), image), image, 1) == 1


@given(n=st.integers(1, 5000), share=st.floats(0, 1), alpha=st.floats(1e-6, 0.5))
@settings(max_examples=60)
def test_the_lower_bound_is_that_of_clopper_and_pearson(n, share, alpha):
    votes = round(share * n)
    bound = float(lower_confidence_bound(np.array([votes]), n, alpha)[0])
    reference = (
        stats.binomtest(votes, n, alternative="greater")
        .proportion_ci(1 - alpha, method="exact")
        .low
    )
    assert bound == pytest.approx(reference, rel=1e-7, abs=1e-10)
    assert bound <= votes / n
    if votes:
        assert stats.binom.sf(votes - 1, n, bound) == pytest.approx(
            alpha, rel=1e-6
        )  # its definition


def test_a_unanimous_vote_reaches_the_ceiling_exactly_and_the_papers_is_known():
    assert ceiling(0.125, 100_000, 0.001) == pytest.approx(0.4764, abs=5e-5)
    assert ceiling(0.125, 1000, 0.001) == pytest.approx(0.3079, abs=5e-5)
    for n in (10, 1000, 100_000):
        radii = certified_radius(np.arange(n + 1), n, 0.3, 0.001)
        assert radii[-1] == ceiling(0.3, n, 0.001) and (np.diff(radii) >= 0).all()
        assert (radii[: n // 2 + 1] == 0).all()
    far = certificates(LINE, line_points([0.49]), np.array([0]), noise=0.01)
    assert far.distance[0] == ceiling(0.01, 1000, 0.001) and far.columns["votes"][0] == 1000


@pytest.mark.parametrize("size", [1, 7, 32, 1000])
def test_votes_depend_on_no_pass_and_no_order(toy, size):
    network, images, labels = toy
    expected = certificates(network, images, labels, noise=0.3, n0=13, n=187)
    again = certificates(network, images, labels, batch_size=size, noise=0.3, n0=13, n=187)
    order = np.random.default_rng(0).permutation(len(images))
    shuffled = certificates(
        network, images[order], labels[order], size, seeds=order, noise=0.3, n0=13, n=187
    )
    for name in ("votes", "smoothed_prediction"):
        np.testing.assert_array_equal(again.columns[name], expected.columns[name])
        np.testing.assert_array_equal(shuffled.columns[name], expected.columns[name][order])
    np.testing.assert_array_equal(again.distance, expected.distance)


def test_votes_depend_on_no_neighbor(toy):
    network, images, labels = toy
    expected = certificates(network, images, labels, noise=0.3, n=200)
    alone = certificates(network, images[5:6], labels[5:6], seeds=np.array([5]), noise=0.3, n=200)
    assert alone.columns["votes"][0] == expected.columns["votes"][5]
    other = certificates(network, images[5:6], labels[5:6], seeds=np.array([6]), noise=0.3, n=2000)
    again = certificates(network, images[5:6], labels[5:6], seeds=np.array([-7]), noise=0.3, n=2000)
    assert other.columns["votes"][0] != again.columns["votes"][0]


@given(n=st.integers(1, 4), draws=st.integers(1, 90), size=st.integers(1, 200), last=st.booleans())
@settings(max_examples=40)
def test_noisy_copies_come_in_order_whole_and_independent_of_the_pass(n, draws, size, last):
    images = torch.rand(n, 2, 3, 2, generator=torch.Generator().manual_seed(0))
    settings_ = {
        "noise": 0.5,
        "draws": draws,
        "layout": torch.channels_last if last else torch.contiguous_format,
    }
    passes = [one.clone() for one in noisy_passes(images, np.arange(n), size=size, **settings_)]
    assert max(map(len, passes)) <= size
    copies = torch.cat(passes)
    assert copies.shape == (n * draws, 2, 3, 2)
    reference = torch.cat(
        [one.clone() for one in noisy_passes(images, np.arange(n), size=20, **settings_)]
    )
    assert torch.equal(copies, reference)
    assert len(torch.unique(copies.flatten(1), dim=0)) == n * draws


def test_the_noise_is_normal_independent_and_of_the_deviation_asked_for():
    images = torch.full((2, 1, 1, 8), 0.25)
    draws = {}
    for stream in (0, 1):
        passes = noisy_passes(
            images, np.array([3, 4]), noise=0.125, draws=4000, size=500, stream=stream
        )
        draws[stream] = (
            torch.cat([one.clone() for one in passes]).view(2, -1).double() - 0.25
        ).numpy() / 0.125
    samples = [*draws[0], *draws[1]]
    for sample in samples:
        assert stats.kstest(sample, "norm").pvalue > 1e-4
        assert (
            abs(np.corrcoef(sample[:16000], sample[16000:])[0, 1]) < 0.04
        )  # early draws (n0) and late ones (n)
    assert np.abs(np.corrcoef(samples) - np.eye(4)).max() < 0.03


def test_noisy_images_are_never_clipped():
    class Recording(nn.Module):
        low, high = 0.0, 1.0

        def forward(self, images):
            shown = images.detach()
            self.low, self.high = (
                min(self.low, float(shown.min())),
                max(self.high, float(shown.max())),
            )
            return LINE(images)

    network = Recording()
    certificates(network, line_points([0.4, -0.4]), np.array([0, 1]), noise=0.5)
    assert network.low < -1 and network.high > 2


class Sliver(nn.Module):
    """Class 0 only where the first pixel is within 0.01 of 0.5, so that almost all noisy copies of
    such an image are class 1.
    """

    def forward(self, images):
        gap = (images.flatten(1)[:, 0] - 0.5).abs()
        return torch.stack([0.01 - gap, gap - 0.01], 1)


def test_where_g_has_another_class_the_status_is_overruled_and_the_distance_zero():
    for method in ("smoothing", "smoothing_attack"):
        found = estimate_arrays(
            Sliver(), line_points([0.001]), np.array([0]), *resolve_method(method)
        )
        assert list(found.status) == ["overruled"] and found.distance[0] == 0
        assert found.columns["smoothed_prediction"][0] == 1 and found.columns["votes"][0] > 900
        assert found.prediction[0] == 1 and found.columns["network_prediction"][0] == 0


def test_where_the_network_is_wrong_g_may_be_right_and_is_certified_and_attacked():
    """Class 1 only within 0.01 of 0.5, and 0 everywhere else up to 0.7: f says 1
    there, and g says 0.
    """

    class Pinhole(nn.Module):
        def forward(self, images):
            first = images.flatten(1)[:, 0]
            is_zero = ((first - 0.5).abs() > 0.01) & (first < 0.7)
            score = torch.where(is_zero, 1.0, -1.0) + 0.0 * first
            return torch.stack([score + 0.1 * (0.7 - first), -score], 1)

    images, labels = line_points([0.0, 0.005, -0.2]), np.array([0, 0, 0])
    network = Pinhole()
    assert network(torch.as_tensor(images)).argmax(1).tolist() == [1, 1, 0]
    radii = certificates(network, images, labels, noise=0.1, n=2000)
    assert list(radii.status) == ["certified"] * 3 and (radii.distance[:2] > 0.1).all()
    assert (
        radii.distance < [0.2, 0.195, 0.4]
    ).all()  # how far g's boundary lies at most: f's, the pinhole left out
    attacked = estimate_arrays(
        network, images, labels, *resolve_method("smoothing_attack", {"noise": 0.1})
    )
    assert (attacked.distance >= radii.distance).all() and set(attacked.status) == {"found"}
    for found in (radii, attacked):
        assert list(found.prediction) == [0, 0, 0] and list(
            found.columns["network_prediction"]
        ) == [1, 1, 0]


def test_where_no_class_has_the_majority_g_abstains():
    found = certificates(LINE, line_points([0.2, -0.2, 1e-4]), np.array([0, 1, 0]), noise=10)
    assert list(found.status) == ["abstained"] * 3
    assert (found.distance == 0).all() and (found.columns["smoothed_prediction"] == -1).all()
    assert (found.columns["votes"] > 400).all()
    assert set(found.prediction) <= {0, 1} and list(found.columns["network_prediction"]) == [
        0,
        1,
        0,
    ]
    assert "abstained" in certificates(LINE, line_points([1e-4]), np.array([0])).status


def test_votes_of_constructed_counts():
    votes = np.array(
        [[[9, 1, 0], [990, 5, 5]], [[0, 9, 1], [5, 990, 5]], [[4, 3, 3], [400, 300, 300]]]
    )
    found = certify(votes, np.array([0, 0, 0]), noise=0.5, alpha=0.001)
    assert list(found.status) == ["certified", "overruled", "abstained"]
    assert found.distance[0] > 0.9 and list(found.distance[1:]) == [0, 0]
    assert list(found.columns["smoothed_prediction"]) == [0, 1, -1]
    assert list(found.columns["votes"]) == [990, 990, 400]
    assert list(found.prediction) == [0, 1, 0]
    close = certify(np.array([[[3, 4, 3], [400, 330, 270]]]), np.array([0]), noise=0.5, alpha=0.001)
    assert list(close.status) == ["abstained"] and list(close.prediction) == [
        0
    ]  # the most votes of all


@pytest.mark.parametrize("distance", [0.05, 0.15])
def test_radii_exceed_the_truth_no_more_often_than_alpha_says(distance):
    """On a two-class linear network g's distance is f's, exactly: 2,000 seeded certificates
    at alpha = 0.05.
    """
    trials, alpha = 2000, 0.05
    images = np.repeat(line_points([distance]), trials, axis=0)
    found = certificates(
        LINE, images, np.zeros(trials, int), batch_size=2000, noise=0.1, n0=10, n=200, alpha=alpha
    )
    n_above = int((found.distance > distance).sum())
    assert stats.binomtest(n_above, trials, alpha, alternative="greater").pvalue > 1e-3
    assert n_above > trials * alpha / 5  # nor is the bound so loose that this says nothing
    assert np.median(found.distance) > 0.6 * distance


def test_every_image_is_certified_and_reported_done():
    from rbcore.distances.engine import Engine

    images, labels, reported = line_points([0.2, -0.2, 0.1]), np.array([0, 0, 0]), []
    method, parameters = resolve_method("smoothing", {"n": 50})
    engine = Engine(LINE, Samples.of_arrays(images, labels), method, parameters, batch_size=16)
    found = engine.estimate(np.arange(3), reported.append)
    assert list(found.status) == ["certified", "overruled", "certified"]
    assert sum(reported) == 3
    assert method.passes(parameters) == 150
    assert engine.network.take_counts()["n_forward"] - 3 * 150 < 10


def test_cancel_stops_between_two_passes(toy):
    asked = []

    def after_ten_passes():
        asked.append(None)
        return len(asked) > 10

    with pytest.raises(Cancelled):
        certificates(*toy, cancel=after_ten_passes)
    assert len(asked) == 11


def test_infinite_logits_of_noisy_images_are_refused():
    class Fragile(nn.Module):
        def forward(self, images):
            return LINE(images) / (images.amin((1, 2, 3)) >= 0)[:, None]

    with pytest.raises(MethodError, match="NaN or infinite outputs for noisy images"):
        certificates(Fragile(), line_points([0.3]), np.array([0]), noise=1)


def test_bfloat16_certifies_the_bfloat16_network(digits):
    network, images, labels = digits
    full = certificates(network, images, labels, noise=0.3)
    half = certificates(network, images, labels, noise=0.3, precision="bfloat16")
    same = (full.columns["smoothed_prediction"] == half.columns["smoothed_prediction"]) & (
        full.distance > 0
    )
    assert same.mean() > 0.8
    moved = np.abs(full.columns["votes"] - half.columns["votes"])[same]
    assert (
        0 < moved.max() < 60 and np.median(moved) <= 10
    )  # other sums, so another classifier, yet close
    assert "bfloat16" in resolve_method("smoothing")[0].description
    assert next(network.parameters()).dtype == torch.float32
    with pytest.raises(MethodError, match="needs a torch module"):
        certificates(lambda x: LINE(x), line_points([0.3]), np.array([0]), precision="bfloat16")

    class Stubborn(nn.Module):
        def forward(self, images):
            if images.dtype == torch.bfloat16:
                raise RuntimeError("no kernel")
            return LINE(images)

    with pytest.raises(MethodError, match="cannot compute in bfloat16"):
        certificates(Stubborn(), line_points([0.3]), np.array([0]), precision="bfloat16")


def test_parameters_are_checked():
    paper = {"noise": 0.125, "n0": 100, "n": 100_000, "alpha": 0.001, "precision": "float32"}
    assert resolve_method("smoothing:paper")[1] == paper
    for name, value, message in [
        ("precision", "float16", "precision=float16 is not one of float32, bfloat16"),
        ("noise", 0, "noise=0 is not a number from 0.0001"),
        ("alpha", 0.7, "alpha=0.7"),
        ("n", 2.5, "n=2.5 is not a whole number"),
        ("n0", 0, "n0=0"),
    ]:
        with pytest.raises(MethodError, match=message):
            resolve_method("smoothing", {name: value})
    with pytest.raises(UnknownNameError):
        resolve_method("smoothing_attack", {"precision": "bfloat16"})


def test_what_is_said_of_g_is_not_said_of_f():
    certificate, attack, other = (
        resolve_method(name)[0] for name in ("smoothing", "smoothing_attack", "deepfool")
    )
    assert certificate.smoothed and attack.smoothed and not other.smoothed
    assert (certificate.bound, attack.bound) == ("lower", "upper")
    assert "upper bounds of the smoothed classifier g" in attack.bound_note != other.bound_note
    assert "lower bounds" in certificate.bound_note


@pytest.mark.slow
def test_the_attack_on_g_meets_the_exact_distance_of_a_linear_network():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, 12))
    network = linear_network(weights, np.array([0, -(weights[1] - weights[0]).sum() / 2]))
    images = as_images(rng.uniform(0.35, 0.65, size=(40, 12)))
    labels = network(torch.as_tensor(images)).argmax(1).numpy()
    exact = estimate_arrays(network, images, labels, *resolve_method("exact")).distance
    noise = 0.05
    method, parameters = resolve_method(
        "smoothing_attack", {"noise": noise, "n": 10_000, "steps": 30}
    )
    attacked = estimate_arrays(network, images, labels, method, parameters, batch_size=2048)
    assert list(attacked.status) == ["found"] * 40
    assert (attacked.distance > exact).all()
    assert (
        np.median(attacked.distance - exact) < 1.5 * noise * 0.06
    )  # the price of 10,000 votes, see the module
    far = exact > 0.08
    assert far.sum() > 8 and (attacked.distance[far] < 1.06 * exact[far]).all()
    assert (attacked.perturbed_prediction == 1 - labels).all()
    small = estimate_arrays(network, images[:3], labels[:3], method, parameters, batch_size=7)
    np.testing.assert_allclose(small.distance, attacked.distance[:3], rtol=1e-6)


@pytest.mark.slow
def test_certificate_and_attack_bracket_g_on_digits(digits):
    network, images, labels = digits
    images, labels = images[:24], labels[:24]
    radii = certificates(network, images, labels)
    method, parameters = resolve_method("smoothing_attack")
    attacked = estimate_arrays(network, images, labels, method, parameters)
    correct = attacked.prediction == labels
    assert set(attacked.status[correct]) == {"found"} and correct.sum() > 20
    assert (radii.distance[correct] <= attacked.distance[correct]).all()
    perturbed = attacked.perturbed[correct]
    assert perturbed.min() >= 0 and perturbed.max() <= 1
    norms = np.sqrt(((perturbed.astype(float) - images[correct]) ** 2).sum((1, 2, 3)))
    np.testing.assert_allclose(attacked.distance[correct], norms, rtol=1e-6)
    passes = noisy_passes(
        torch.as_tensor(perturbed),
        np.arange(correct.sum()),
        noise=0.125,
        draws=2000,
        size=500,
        stream=99,
    )
    with torch.no_grad():
        classes = torch.cat([network(one).argmax(1) for one in passes]).view(-1, 2000).numpy()
    modes = np.array(
        [np.bincount(row, minlength=10).argmax() for row in classes]
    )  # g's class, by votes of our own
    assert (modes != labels[correct]).all()
    assert (modes == attacked.columns["smoothed_prediction"][correct]).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_certifies_as_the_cpu_does(digits, precision):
    network, images, labels = digits
    here = certificates(network, images, labels)
    method, parameters = resolve_method("smoothing", {"precision": precision})
    try:
        there = estimate_arrays(
            CheckedNetwork(network.to("cuda"), device="cuda"), images, labels, method, parameters
        )
    finally:
        network.to("cpu")
    votes = (
        np.stack([here.columns["votes"], there.columns["votes"]])[:, here.status == "certified"]
        / 1000
    )
    assert (
        np.abs(votes[0] - votes[1])
        <= 4.5 * np.sqrt(votes.mean(0) * (1 - votes.mean(0)) * 2 / 1000) + 0.02
    ).all()
