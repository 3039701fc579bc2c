"""Adversarial training and re-weighting: what they do to a batch, against closed forms, and to a
run, beside the plain one.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rbcore.datasets import load_dataset
from rbcore.distances.estimate import estimate_distances
from rbcore.errors import Cancelled, TrainingError, UnknownNameError
from rbcore.models import build_network
from rbcore.runs.loading import load_model
from rbcore.training import loop, recipes
from rbcore.training.loop import Trainer
from rbcore.training.mitigations import (
    AdversarialTraining,
    Regularizer,
    Reweighting,
)
from rbcore.training.mitigations.pgd import perturbed, random_starts
from rbcore.training.mitigations.reweighting import weights_of
from rbcore.training.recipes import Recipe
from rbcore.training.train import train
from tests.cli.test_main import run, table_of
from tests.training.test_train import without_seconds

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture
def short_recipe(monkeypatch):
    recipe = Recipe(
        "modern", 2, 32, 0.05, weight_decay=5e-4, schedule="cosine", flip=True, shift=1 / 8
    )
    monkeypatch.setattr(recipes, "MODERN", (("*", "*", recipe),))


def two_classes(direction):
    """A linear network whose cross entropy rises for label 0 along ``direction``, and along its
    negative for label 1.
    """
    network = nn.Sequential(nn.Flatten(), nn.Linear(direction.numel(), 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.stack([-direction, direction]))
        network[1].bias.zero_()
    return network


def lengths(images):
    return images.flatten(1).norm(dim=1)


@pytest.mark.parametrize("steps", [1, 3, 60])
def test_the_attack_on_a_linear_network_follows_its_closed_form(steps):
    """From a start along the direction a and across it b, each step adds 2.5/steps along it and is
    cut to the ball.
    """
    epsilon, shape = 0.3, (4, 1, 5, 5)
    torch.manual_seed(0)
    direction = torch.randn(25)
    along = (direction / direction.norm()).view(1, 1, 5, 5)
    across = torch.randn(shape)
    across -= (across * along).sum((1, 2, 3), keepdim=True) * along
    across /= lengths(across).view(-1, 1, 1, 1)
    images, labels = torch.full(shape, 0.5), torch.tensor([0, 1, 0, 1])
    a, b = 0.0, epsilon
    for _ in range(steps):
        a += 2.5 * epsilon / steps
        a, b = (part * min(1.0, epsilon / np.hypot(a, b)) for part in (a, b))
    moved = perturbed(
        two_classes(direction),
        images,
        labels,
        epsilon * across,
        AdversarialTraining(epsilon, steps=steps),
    )
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(-1, 1, 1, 1)
    torch.testing.assert_close(moved - images, sign * a * along + b * across, atol=1e-6, rtol=1e-4)
    straight = perturbed(
        two_classes(direction),
        images,
        labels,
        torch.zeros(shape),
        AdversarialTraining(epsilon, steps=steps),
    )
    torch.testing.assert_close(
        straight - images, sign * epsilon * along.expand(shape), atol=1e-6, rtol=1e-4
    )


def test_the_attack_stays_in_the_ball_and_in_the_range_of_pixels():
    torch.manual_seed(1)
    images, labels = torch.rand(6, 3, 8, 8).round(), torch.arange(6) % 2
    starts = random_starts(tuple(images.shape), 2.0, np.random.default_rng(0))
    moved = perturbed(
        two_classes(torch.randn(192)), images, labels, starts, AdversarialTraining(2.0)
    )
    assert moved.min() >= 0 and moved.max() <= 1
    assert (lengths(moved - images) <= 2.0 + 1e-5).all() and (lengths(moved - images) > 0.5).all()


def test_starts_are_drawn_evenly_from_the_ball():
    starts = random_starts((4000, 1, 1, 3), 2.0, np.random.default_rng(0))
    radii = lengths(starts)
    assert radii.max() <= 2 and starts.dtype == torch.float32
    for share in (0.25, 0.5, 0.75):  # of the volume: (r / epsilon)^d
        assert ((radii / 2) ** 3 < share).float().mean().item() == pytest.approx(share, abs=0.03)
    assert starts.mean(0).abs().max() < 0.1


def test_the_attack_leaves_the_network_as_it_was(digits):
    """Batch statistics, modes and gradients; and an image's attack does not depend
    on its neighbors.
    """
    torch.manual_seed(0)
    network = build_network("resnet20", (3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images, labels = torch.rand(5, 3, 32, 32), torch.arange(5)
    starts = random_starts(tuple(images.shape), 0.5, np.random.default_rng(0))
    together = perturbed(network, images, labels, starts, AdversarialTraining())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    alone = torch.cat(
        [
            perturbed(
                network, *(x[k : k + 1] for x in (images, labels, starts)), AdversarialTraining()
            )
            for k in range(5)
        ]
    )
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-3)


def gradient_of(dataset, rows, **options):
    """Return the gradient that one step on these rows leaves, and the loss, of a network that is
    always the same.
    """
    torch.manual_seed(0)
    network = build_network("small_cnn", dataset.input_shape, 10, dataset.mean, dataset.std)
    trainer = Trainer(
        network, dataset, Recipe("paper", 1, len(rows), 0.0, momentum=0.0), CPU, **options
    )
    images, labels = loop.images_and_labels(dataset, rows, CPU)
    batch = trainer._batch(rows, images, labels, np.random.default_rng(0))
    loss, _ = trainer.step(batch)
    return (
        {name: parameter.grad for name, parameter in network.named_parameters()},
        float(loss),
        batch,
    )


def test_a_weight_counts_like_so_many_copies_of_an_image(digits):
    """Three times the eights, once the rest: the gradient of the weighted batch is that of the
    batch with the copies in it.
    """
    rows = np.sort(digits.rows("train"))[:60]
    few = replace(
        digits, images=digits.images[rows], samples=digits.samples.iloc[rows].reset_index(drop=True)
    )
    is_eight = few.labels(np.arange(60)) == 8
    n_copied = 3 * is_eight.sum() + (~is_eight).sum()
    settings = Reweighting("class", "8", share=float(3 * is_eight.sum() / n_copied))
    weighted, loss, batch = gradient_of(few, np.arange(60), hooks=settings.hooks(few.samples))
    assert batch.drawn.mean().item() == pytest.approx(1)
    copies = np.concatenate([np.arange(60), *[np.flatnonzero(is_eight)] * 2])
    copied, other_loss, _ = gradient_of(few, copies)
    assert 0 < is_eight.sum() < 30 and loss == pytest.approx(other_loss, rel=1e-5)
    for name, gradient in copied.items():
        torch.testing.assert_close(weighted[name], gradient, atol=1e-6, rtol=1e-4)


def test_the_weights_carry_the_shares_that_were_asked_for():
    samples = pd.DataFrame(
        {
            "sample_id": list("abcdefghij"),
            "split": ["train"] * 8 + ["test", "validation"],
            "label": 0,
            "class": "x",
            "light": ["dim"] * 2 + ["bright"] * 5 + ["none"] + ["dim", "other"],
        }
    )
    for share in (0.5, 0.67):
        weights = weights_of(Reweighting.of_option("light=dim", {"share": share}), samples)
        assert weights[:2].sum() / weights.sum() == pytest.approx(share)
        assert weights[:8].mean() == pytest.approx(1) and not weights[8:].any()
    assert Reweighting.of_option("light=dim", {}) == Reweighting("light", "dim", 0.5)
    every = weights_of(Reweighting.of_option("light", {}), samples)
    assert [every[:2].sum(), every[2:7].sum(), every[7:8].sum()] == pytest.approx([8 / 3] * 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdversarialTraining(0), "epsilon=0 is not a number from 1e-06"),
        (lambda: AdversarialTraining(float("nan")), "epsilon=nan"),
        (lambda: AdversarialTraining(0.5, steps=0), "steps=0 is not a whole number from 1"),
        (lambda: Reweighting("class", "8", 1.0), "share=1.0 is not a number"),
        (lambda: Reweighting("class", "8"), "share=None is not a valid share"),
        (lambda: Reweighting("class", share=0.5), "share=0.5 is for one group"),
        (lambda: Reweighting.of_option("class=", {}), "does not name a group"),
    ],
)
def test_settings_without_meaning_are_refused(make, message):
    with pytest.raises(TrainingError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.usefixtures("short_recipe")
def test_mitigated_runs_lie_beside_the_plain_one(digits):
    plain = train("small_cnn", digits)
    hostile = train("small_cnn", digits, mitigation=AdversarialTraining(0.25))
    weighted = train("small_cnn", digits, mitigation=Reweighting("class", "8", 0.3))
    assert [run.name.removeprefix(plain.name) for run in (hostile, weighted)] == [
        "+adversarial-e0.25",
        "+weight-class=8-s0.3",
    ]
    assert plain.mitigation is None and not hostile.is_plain and not weighted.is_plain
    assert hostile.mitigation == {"kind": "adversarial", "epsilon": 0.25, "steps": 3}
    assert weighted.mitigation == {"kind": "reweighting", "by": "class", "group": "8", "share": 0.3}
    assert len({run.facts.sha256 for run in (plain, hostile, weighted)}) == 3
    assert [record.of_mitigation["attack_passes"] for record in hostile.facts.history] == [
        3 * 45
    ] * 2
    n_eight = (digits.labels(digits.rows("train")) == 8).sum()
    assert weighted.facts.history[-1].of_mitigation["largest_weight"] == pytest.approx(
        0.3 * 1437 / n_eight
    )
    assert all(
        record.seconds > 0 for run in (plain, hostile, weighted) for record in run.facts.history
    )


def test_all_start_from_the_same_weights_and_see_the_same_batches(
    digits, monkeypatch, short_recipe
):
    seen = {}
    take = Trainer.step

    def look(trainer, batch):
        weights = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
        seen.setdefault(label, []).append((batch.images, batch.labels, weights))
        return take(trainer, batch)

    monkeypatch.setattr(Trainer, "step", look)
    everything = {
        "plain": None,
        "term": Regularizer("class", "8"),
        "hostile": AdversarialTraining(0.5),
        "weighted": Reweighting("class"),
    }
    for label, mitigation in everything.items():  # noqa: B007  (read by look)
        train("small_cnn", digits, epochs=1, mitigation=mitigation)
    for label in everything:
        assert len(seen[label]) == len(seen["plain"]) == 45
        for (images, labels, _), (other_images, other_labels, _) in zip(
            seen[label], seen["plain"], strict=True
        ):
            assert torch.equal(images, other_images) and torch.equal(labels, other_labels)
        for name, tensor in seen["plain"][0][2].items():
            assert torch.equal(tensor, seen[label][0][2][name])


@pytest.mark.slow
@pytest.mark.usefixtures("short_recipe")
def test_a_killed_adversarial_run_ends_with_the_same_bits(digits):
    hostile = AdversarialTraining(0.25)
    whole = train("small_cnn", digits, mitigation=hostile, run="whole")
    calls = []
    options = {"mitigation": hostile, "run": "cut"}
    with pytest.raises(Cancelled):
        train(
            "small_cnn",
            digits,
            **options,
            progress=lambda *call: calls.append(call),
            cancel=lambda: len(calls) > 50,
        )
    resumed = train("small_cnn", digits, **options)
    assert resumed.facts.sha256 == whole.facts.sha256 and without_seconds(
        resumed
    ) == without_seconds(whole)


@pytest.mark.parametrize("mitigation", [AdversarialTraining(0.25), Reweighting("class", "8", 0.5)])
def test_in_parts_a_step_is_the_same(digits, mitigation):
    rows = np.sort(digits.rows("train"))[:30]
    whole, loss, batch = gradient_of(digits, rows, hooks=mitigation.hooks(digits.samples))
    torch.manual_seed(0)
    network = build_network("small_cnn", digits.input_shape, 10, digits.mean, digits.std)
    trainer = Trainer(
        network, digits, Recipe("paper", 1, 30, 0.0), CPU, mitigation.hooks(digits.samples)
    )
    trainer.micro_batch = 7
    assert float(trainer.step(batch)[0]) == pytest.approx(loss, rel=1e-5)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, whole[name], atol=1e-6, rtol=1e-3)


def test_adversarial_training_widens_distances(digits):
    """Of a linear model, whose distances are known exactly."""
    medians = []
    for mitigation in (None, AdversarialTraining(0.5)):
        found = train("logistic_regression", digits, epochs=6, mitigation=mitigation)
        rows = estimate_distances(
            load_model("logistic_regression", digits, run=found.name), digits, "exact"
        )
        medians.append(rows.loc[rows["is_correct"], "distance"].median())
    assert medians[1] > 1.05 * medians[0], medians


def test_a_group_that_does_not_exist_is_said_before_anything_is_written(digits, cache):
    with pytest.raises(UnknownNameError, match="no group of class '11'"):
        train("small_cnn", digits, mitigation=Reweighting("class", "11", 0.5))
    assert not (cache / "runs").exists()


def test_a_term_that_explodes_names_its_weight_too(digits, monkeypatch):
    wild = Recipe("modern", epochs=1, batch_size=32, learning_rate=1e30)
    monkeypatch.setattr(recipes, "MODERN", (("*", "*", wild),))
    both = r"rate \(1e\+30\), the regularizer's weight alpha \(3\) or its clip \(1\)\."
    with pytest.raises(TrainingError, match=both):
        train("small_cnn", digits, mitigation=Regularizer("class", "8", alpha=3))
    never = r"alpha \(1\) or clip its gradient \(now never\)\."
    with pytest.raises(TrainingError, match=never):
        train("small_cnn", digits, mitigation=Regularizer("class", "8", clip=0))


@pytest.mark.slow
@pytest.mark.usefixtures("short_recipe")
def test_the_command_line_trains_each_and_a_grid_of_all():
    common = ("digits", "small_cnn", "--epochs", 1)
    plain = "modern-8px-1ep-seed0"
    hostile = table_of("train", *common, "--adversarial", 0.25, "--pgd-steps", 2)
    assert list(hostile["run"]) == [f"{plain}+adversarial-e0.25-steps2"]
    weighted = table_of(
        "train", *common, "--reweight", "class=8", "--share", 0.3, "--validation", 0.2
    )
    assert list(weighted["run"]) == [f"{plain}-val0.2+weight-class=8-s0.3"]
    assert weighted["n_validation"].item() == 287 and 0 < weighted["validation_accuracy"].item() < 1
    grid = (
        "grid",
        *common,
        "--regularize",
        "class=8",
        "--alphas",
        1,
        "--epsilons",
        "0.1,0.25",
        "--shares",
        0.5,
    )
    table = table_of(*grid, "--validation", 0.2)
    assert table["kind"].fillna("plain").tolist() == [
        "plain",
        "regularizer",
        "adversarial",
        "adversarial",
        "reweighting",
    ]
    assert table["epsilon"].dropna().tolist() == [0.1, 0.25] and table[
        "share"
    ].dropna().tolist() == [0.5]
    assert (table["seconds"] > 0).all() and table["validation_accuracy"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--regularize", "class=11"), "There is no group of class '11'"),
        (("--regularize", "klass=1"), "There is no partition 'klass'. Did you mean 'class'"),
        (("--regularize", "class="), "does not name a group; write PARTITION=GROUP"),
        (("--regularize", "class=8", "--alpha", "-1"), "alpha=-1"),
        (
            ("--regularize", "class=8", "--form", "margins"),
            "no form of the regularizer 'margins'. Did you mean 'margin'",
        ),
        (("--regularize", "class=8", "--over", "worst"), "Leave out one of the two"),
        (("--tau", "0.5"), "--tau belongs to --regularize"),
        (("--adversarial", "-1"), "epsilon=-1"),
        (("--pgd-steps", "5"), "--pgd-steps belongs to --adversarial; add --adversarial EPSILON"),
        (("--share", "0.5"), "--share belongs to --reweight"),
        (("--reweight", "class=8", "--share", "1.5"), "share=1.5"),
        (("--reweight", "class", "--share", "0.5"), "Name a group"),
        (("--reweight", "class=8", "--adversarial", "0.5"), "A run has one mitigation"),
        (("--validation", "1"), "validation=1 is not a valid share"),
    ],
    ids=" ".join,
)
def test_mistakes_on_the_command_line_are_said(arguments, message, cache):
    done = run("train", "digits", "small_cnn", *arguments)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not (cache / "runs").exists()
