"""The fairness term on networks whose answer is known: gradients, linear models, modes, sides,
oversampled_rows.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.func import functional_call

from rbcore.distances import resolve_method
from rbcore.distances.engine import estimate_arrays
from rbcore.errors import MeasureError, TrainingError, UnknownNameError
from rbcore.models import MODELS, build_network
from rbcore.runs.checkpoints import run_folder
from rbcore.training.mitigations.regularizer import FORMS, Regularizer
from rbcore.training.mitigations.regularizer_term import (
    FEWEST,
    SMALLEST_NORM,
    GroupAssignment,
    add_gradient,
    difference_of_groups,
    group_assignment,
    linearized_distances,
    oversampled_rows,
)
from tests.toys import as_images, linear_network, smooth_network

N = 24


def settings(**changes):
    return Regularizer(
        "lighting", "dim", **{"alpha": 0.7, "tau": 0.4, "temperature": 0.3, "clip": 0.0} | changes
    )


def two_sides(**changes):
    return GroupAssignment(settings(**changes), np.zeros(0, np.int64), (1,))


@pytest.fixture
def smooth():
    """A smooth float64 network, images that it classifies correctly but for three,
    and their groups.
    """
    network = smooth_network(torch.float64).eval()
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(N, 1, 1, 6, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        labels = network(images).argmax(1)
    labels[:3] = (labels[:3] + 1) % 3
    return network, images, labels, torch.arange(N) % 2


def whole_loss(network, parameters, images, labels, codes, sides):
    """The loss of the paper, written down in one piece: cross entropy and alpha times the term over
    correct images.
    """

    def forward(x):
        return functional_call(network, parameters, (x,))

    logits = forward(images)
    is_correct = logits.detach().argmax(1) == labels
    distances = linearized_distances(
        forward, images[is_correct], labels[is_correct], sides.settings.form
    )
    term = difference_of_groups(distances, codes[is_correct], sides)
    return nn.functional.cross_entropy(logits, labels) + sides.settings.alpha * term


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_of_the_whole_loss_is_the_numerical_one(smooth, form):
    network, images, labels, codes = smooth
    names = [name for name, _ in network.named_parameters()]

    def loss(*values):
        return whole_loss(
            network,
            dict(zip(names, values, strict=True)),
            images,
            labels,
            codes,
            two_sides(form=form),
        )

    parameters = [parameter.detach().clone().requires_grad_() for parameter in network.parameters()]
    assert torch.autograd.gradcheck(loss, parameters, eps=1e-6, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("micro_batch", [None, 5])
def test_what_training_adds_is_that_gradient_also_in_parts(smooth, form, micro_batch):
    network, images, labels, codes = smooth
    sides = two_sides(form=form)
    parameters = dict(network.named_parameters())
    loss = whole_loss(network, parameters, images, labels, codes, sides)
    expected = torch.autograd.grad(loss, list(parameters.values()))
    entropy = nn.functional.cross_entropy(network(images), labels)
    entropy.backward()
    term, is_clipped = add_gradient(network, images, labels, codes, sides, micro_batch)
    assert not is_clipped and sides.settings.alpha * term == pytest.approx(
        loss.item() - entropy.item(), rel=1e-9
    )
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)


def test_a_long_gradient_is_shortened_before_alpha(smooth):
    network, images, labels, codes = smooth
    gradients = []
    for clip in (0.0, 0.01, 1000.0):
        network.zero_grad()
        _, is_clipped = add_gradient(
            network, images, labels, codes, two_sides(alpha=3.0, clip=clip)
        )
        assert is_clipped == (clip == 0.01)
        gradients.append(
            torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
        )
    whole, short, same = gradients
    assert torch.equal(whole, same) and short.norm() == pytest.approx(3.0 * 0.01)
    torch.testing.assert_close(short / short.norm(), whole / whole.norm())


@pytest.mark.parametrize("form", FORMS)
def test_part_of_the_gradient_flows_through_the_norm(smooth, form):
    """With the norm held fixed, as in the released code, the gradient is another one."""
    network, images, labels, _ = smooth
    images, labels = images[3:], labels[3:]
    distances = linearized_distances(network, images, labels, form)
    whole = torch.autograd.grad(distances.mean(), list(network.parameters()))
    logits = network(images)
    own = logits.gather(1, labels[:, None])
    others = own - logits[torch.arange(3) != labels[:, None]].view(-1, 2)
    values = own.abs() if form == "logit" else others
    # every candidate's own norm, held fixed
    norms = torch.stack(
        [_norm(network, images, labels, form, which) for which in range(values.shape[1])], dim=1
    ).detach()
    chosen = (values if form == "runner_up" else values / norms).argmin(1, keepdim=True)
    detached = (values / norms).gather(1, chosen)[:, 0]
    torch.testing.assert_close(detached, distances)
    partial = torch.autograd.grad(detached.mean(), list(network.parameters()), allow_unused=True)
    through_norm = [
        a - (torch.zeros_like(a) if b is None else b) for a, b in zip(whole, partial, strict=True)
    ]
    size = sum(part.square().sum() for part in through_norm).sqrt()
    assert size > 0.05 * sum(part.square().sum() for part in whole).sqrt()


def _norm(network, images, labels, form, which):
    x = images.clone().requires_grad_()
    logits = network(x)
    own = logits.gather(1, labels[:, None])
    value = (
        own
        if form == "logit"
        else own - logits[torch.arange(3) != labels[:, None]].view(-1, 2)[:, [which]]
    )
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient.flatten(1).norm(dim=1)


def exact_distances(network, images, labels):
    estimates = estimate_arrays(
        network, images.numpy(), labels.numpy(), *resolve_method("exact", {})
    )
    return torch.as_tensor(estimates.distance)


def linear_case(n_classes, weights=None):
    random = np.random.default_rng(3)
    weights = random.normal(size=(n_classes, 8)) if weights is None else weights
    network = linear_network(weights, random.normal(size=n_classes) * 0.1).eval()
    images = torch.as_tensor(as_images(random.random((40, weights.shape[1]))))
    return network, images, network(images).argmax(1).detach()


def test_on_a_linear_model_the_margins_are_the_exact_distance_and_the_papers_form_is_not():
    """The runner-up's margin is it where the nearest class is the runner-up: two classes, or
    weights equally far apart.
    """
    for case, forms in (
        (linear_case(2), ("margin", "runner_up")),
        (linear_case(4, np.eye(4, 8) * 1.5), ("margin", "runner_up")),
        (linear_case(5), ("margin",)),
    ):
        network, images, labels = case
        exact = exact_distances(network, images, labels)
        for form in forms:
            found = linearized_distances(network, images, labels, form, create_graph=False).detach()
            torch.testing.assert_close(found, exact, rtol=1e-6, atol=0)
        papers = linearized_distances(network, images, labels, "logit", create_graph=False).detach()
        assert ((papers - exact).abs() > 0.05 * exact).float().mean() > 0.8
    runner_up = linearized_distances(network, images, labels, "runner_up").detach()
    assert (runner_up >= exact * (1 - 1e-9)).all() and (runner_up > 1.01 * exact).any()


def network_with_statistics():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(4 * 36, 3),
    )


@pytest.mark.parametrize("form", FORMS)
def test_statistics_modes_and_random_stream_are_left_alone(form):
    network = network_with_statistics().train()
    network[3].eval()  # a module that its owner froze stays frozen
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images, codes = torch.rand(16, 1, 8, 8), torch.arange(16) % 2
    labels = network.eval()(images).argmax(1)
    network.train()[3].eval()
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    assert add_gradient(network, images, labels, codes, two_sides(form=form)) is not None
    assert torch.equal(torch.rand(2), expected)
    assert [module.training for module in network] == [True, True, True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in network.parameters()
    )


@pytest.mark.parametrize("form", FORMS)
def test_an_images_distance_does_not_depend_on_its_neighbors(form):
    network = network_with_statistics().double().eval()
    images = torch.rand(12, 1, 8, 8, dtype=torch.float64)
    labels = network(images).argmax(1)
    together = linearized_distances(network, images, labels, form).detach()
    alone = torch.cat(
        [linearized_distances(network, images[[i]], labels[[i]], form).detach() for i in range(12)]
    )
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=0)


def test_distances_are_in_pixels_whatever_the_normalization():
    plain = build_network("logistic_regression", (1, 4, 4), 3, (0.0,), (1.0,))
    scaled = build_network("logistic_regression", (1, 4, 4), 3, (0.5,), (0.25,))
    weights, biases = plain[1][1].weight, plain[1][1].bias
    with torch.no_grad():  # the same function of pixels: w (x - 0.5) / 0.25 + b'
        scaled[1][1].weight.copy_(weights * 0.25)
        scaled[1][1].bias.copy_(biases + 0.5 * weights.sum(1))
    images = torch.rand(9, 1, 4, 4)
    labels = plain(images).argmax(1)
    for form in FORMS:
        one, other = (
            linearized_distances(network, images, labels, form) for network in (plain, scaled)
        )
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_network_without_gradient_gives_finite_distances_and_gradients():
    network = linear_network(np.zeros((3, 4)), [2.0, 1.0, 0.0])
    images, labels = torch.rand(8, 1, 1, 4, dtype=torch.float64), torch.zeros(8, dtype=torch.int64)
    for form, value in (("logit", 2), ("runner_up", 1), ("margin", 1)):
        distances = linearized_distances(network, images, labels, form).detach()
        torch.testing.assert_close(
            distances, torch.full((8,), value / SMALLEST_NORM, dtype=torch.float64)
        )
        assert add_gradient(network, images, labels, torch.arange(8) % 2, two_sides(form=form)) == (
            0,
            False,
        )
        assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_the_term_by_hand_and_the_same_for_the_other_of_two_groups():
    distances, codes = torch.tensor([0.1, 0.4, 0.9, 1.3]), torch.tensor([1, 0, 1, 0])
    relaxed = 1 / (1 + np.exp(-(0.4 - distances.numpy().astype(float)) / 0.3))
    expected = abs(relaxed[[0, 2]].mean() - relaxed[[1, 3]].mean())
    one = difference_of_groups(distances, codes, two_sides()).item()
    other = difference_of_groups(distances, 1 - codes, two_sides()).item()
    assert one == pytest.approx(expected, rel=1e-5) and other == pytest.approx(one, rel=1e-6)


def test_all_groups_are_joined_by_the_worst_or_the_mean():
    distances, codes = (
        torch.tensor([0.1, 0.4, 0.9, 1.3, 0.2, 0.6]),
        torch.tensor([0, 1, 2, 0, 1, 2]),
    )
    gaps = [
        difference_of_groups(distances, (codes == k).long(), two_sides()).item() for k in range(3)
    ]
    found = {}
    for over in ("worst", "mean"):
        everyone = Regularizer("race", over=over, tau=0.4, temperature=0.3)
        found[over] = difference_of_groups(
            distances, codes, GroupAssignment(everyone, codes.numpy(), (0, 1, 2, 3))
        ).item()
    assert found["worst"] == pytest.approx(max(gaps)) and found["mean"] == pytest.approx(
        np.mean(gaps)
    )


@pytest.mark.parametrize("lacking", ["group", "rest", "correct members"])
def test_a_batch_without_two_sides_is_skipped_and_changes_nothing(smooth, lacking):
    network, images, labels, codes = smooth
    codes = {
        "group": codes * 0,
        "rest": codes * 0 + 1,
        "correct members": (torch.arange(N) < 3).long(),
    }[lacking]
    assert add_gradient(network, images, labels, codes, two_sides()) is None
    assert all(parameter.grad is None for parameter in network.parameters())


def test_companions_fill_up_a_group_that_a_batch_has_too_few_of():
    codes = np.array([0] * 90 + [1] * 8 + [2] * 2 + [1] * 50)
    rows = np.arange(100)  # the last fifty are test images
    batch = np.concatenate([np.arange(20), [90]])
    joined = oversampled_rows(codes, batch, rows, np.random.default_rng(0))
    assert list(codes[joined]) == [1] * (FEWEST - 1) + [2] * 2
    assert (
        not set(joined) & set(batch)
        and set(joined) <= set(rows)
        and len(set(joined)) == len(joined)
    )
    assert len(oversampled_rows(codes, rows[:98], rows[:98], np.random.default_rng(0))) == 0


SAMPLES = pd.DataFrame(
    {
        "sample_id": list("abcdef"),
        "split": ["train"] * 4 + ["test"] * 2,
        "label": 0,
        "class": "x",
        "lighting": ["dim", "bright", "dim", "bright", "dim", "night"],
        "age": [1, 20, 30, 70, 5, 6],
    }
)


def test_sides_of_one_group_and_of_all():
    assert list(group_assignment(settings(), SAMPLES).codes) == [1, 0, 1, 0, 1, 0]
    everyone = group_assignment(Regularizer("lighting", over="worst"), SAMPLES)
    assert list(everyone.codes) == [1, 0, 1, 0, 1, -1] and everyone.protected == (0, 1)
    assert list(group_assignment(Regularizer("age:15,40", "15-40"), SAMPLES).codes) == [
        0,
        1,
        1,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("by", "group", "error", "message"),
    [
        ("lightning", "dim", UnknownNameError, "no partition 'lightning'. Did you mean 'lighting'"),
        ("split", "train", UnknownNameError, "no partition 'split'"),
        ("lighting", "dimm", UnknownNameError, "no group of lighting 'dimm'. Did you mean 'dim'"),
        ("lighting", "night", TrainingError, "training images hold bright and dim only"),
        ("class", "x", TrainingError, "training images hold x only"),
        ("age", "1", MeasureError, "'age' is numeric; cut it"),
    ],
)
def test_a_group_nobody_can_be_compared_with_is_refused(by, group, error, message):
    with pytest.raises(error, match=message):
        group_assignment(
            Regularizer(by, group), SAMPLES.assign(age=SAMPLES["age"] + 0.5)
        )  # no codes


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("lighting=dim", {"alpha": -1.0}, "alpha=-1.0 is not a number from 0"),
        ("lighting=dim", {"alpha": float("nan")}, "alpha=nan is not a number"),
        ("lighting=dim", {"tau": -0.1}, "tau=-0.1 is not a number"),
        ("lighting=dim", {"clip": -1.0}, "clip=-1.0 is not a number"),
        ("lighting=dim", {"temperature": 0.0}, "temperature=0.0 is not a number from 1e-06"),
        ("lighting=dim", {"form": "runnerup"}, "Did you mean 'runner_up'"),
        ("lighting=dim", {"over": "mean"}, "over='mean' joins all groups"),
        ("lighting", {"over": "best"}, "no way to join all groups 'best'"),
        ("lighting=", {}, "does not name a group; write PARTITION=GROUP"),
        ("=dim", {}, "does not name a group"),
    ],
)
def test_settings_without_meaning_are_refused(text, values, message):
    with pytest.raises((TrainingError, UnknownNameError), match=message):
        Regularizer.of_option(text, values)


def test_names_tell_runs_apart_and_are_names_of_folders():
    one = Regularizer("lighting", "dim", alpha=1, tau=0.5)
    assert one.suffix == "+lighting=dim-a1-t0.5-runner_up"
    assert Regularizer.of_option("lighting", {}).suffix == "+lighting-worst-a1-t0.5-runner_up"
    long = [
        Regularizer("age:15,25,40,60*gender*race", f"15-25 × female × {race}")
        for race in ("Black", "Asian")
    ]
    others = [
        Regularizer("lighting", "dim", temperature=0.2),
        Regularizer("lighting", over="mean"),
        *long,
    ]
    others += one.variations({"alpha": [0.1, 10.0], "tau": [0.25, 0.5]})
    suffixes = [one.suffix, *(other.suffix for other in others)]
    assert len(set(suffixes)) == len(suffixes)
    for suffix in suffixes:
        run_folder("digits", "small_cnn", "modern-224px-10000ep-seed0" + suffix)


def quickly_built(name, shape, n_classes):
    """A network with weights of the usual size, from one short random stream: the usual start takes
    VGG19 many seconds.
    """
    with torch.device("meta"):
        network = build_network(name, shape, n_classes, (0.5,) * shape[0], (0.25,) * shape[0])
    network.to_empty(device="cpu")
    stream = torch.randn(9973, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.fill_(0.5)  # also scale and shift of a normalization
            else:
                n, fan_in = parameter.numel(), parameter[0].numel()
                values = stream.repeat(-(-n // len(stream)))[:n].view_as(parameter)
                parameter.copy_(values.mul_((2 / fan_in) ** 0.5))
        for what, buffer in network.named_buffers():
            buffer.fill_(1 if what.endswith(("std", "running_var")) else 0)
    return network.eval()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "vgg19")) for name in MODELS]
)
def test_every_registered_model_can_be_trained_with_it(name):
    """Gradients of gradients reach every weight, are finite, and are not all zero."""
    side = max(8, MODELS[name].smallest)
    network = quickly_built(name, (3, side, side), 3)
    images = torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = network(images).argmax(1)
    scale = float(
        linearized_distances(network, images, labels, "runner_up", create_graph=False)
        .detach()
        .mean()
    )
    assert 0 < scale < float("inf")
    sides = two_sides(tau=scale, temperature=scale, alpha=1.0)
    term, _ = add_gradient(network.train(), images, labels, torch.arange(4) % 2, sides)
    assert 0 < term < 1
    for parameter in network.parameters():
        if parameter.dim() > 1:
            assert (
                parameter.grad is not None
                and parameter.grad.isfinite().all()
                and parameter.grad.any()
            )
