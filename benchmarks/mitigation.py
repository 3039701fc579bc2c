"""What the fairness regularizer does beside simpler remedies.

Settings are chosen on a validation split, and the test split is looked at once.

    python -m benchmarks.mitigation toyfaces --by lighting --group dim [--seeds 5] [--alphas
    0.3,1,3] [--tau 0.5]
        [--epsilons 0.25,0.5] [--shares 0.5,0.67] [--validation 0.2] [--also race=Black]
        [--only-seed 0] [--until train]

For each seed: train a plain network and one for every setting of three methods (the regularizer;
adversarial training; re-weighting of the group), all from the same weights, on the same batches,
for the same number of steps. Measure sigma of the group and the accuracy on the validation split
with the fast tier. Per seed and method the setting with the smallest |sigma| is chosen among those
that lose at most 2 points of validation accuracy against the plain network; where all lose more,
the plain network stands in. Only the plain network and the chosen ones are then measured on the
test split, with the standard tier.

Runs and distances are kept in the cache, so a killed call goes on, and processes
can share the work by seed (``--only-seed``) before a last call writes the results of all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy import stats

import rbcore as rb
from benchmarks.results import Results, Row, page, save, say
from rbcore.cli.options import options_from_records
from rbcore.datasets import Dataset, DatasetRequest, open_dataset
from rbcore.inference import CONFIDENCE, compare_bias
from rbcore.measures import sigma_bias, split_groups
from rbcore.parameters import parse_numbers
from rbcore.runs.checkpoints import Run
from rbcore.training.mitigations import AdversarialTraining, Mitigation, Regularizer, Reweighting
from rbcore.training.mitigations.groups import split_spelling

FAST, STANDARD = "minimal:fast", "minimal"
LARGEST_LOSS = 0.02
"""Of validation accuracy against the plain network, for a setting to be chosen."""
SAME = 1e-9
"""Rounding of a difference of accuracies."""
PLAIN = "plain"
STEPS = ("train", "validate", "test")


@dataclass(frozen=True)
class GroupAssignment:
    """A group and its rest on one split, under the default policy.

    Misclassified images count with distance 0.

    Attributes
    ----------
    n
        Images of the group.
    auc, rest_auc
        Mean distance (the area under I_P), L2 in [0, 1] pixel space.
    accuracy, rest_accuracy, total_accuracy
        Of the group, of the rest, of all.
    n_failed
        Images of both without a distance.
    sigma
        The robustness bias of the group (paper, equation 3); NaN where no image of the rest counts.
    """

    n: int
    auc: float
    rest_auc: float
    accuracy: float
    rest_accuracy: float
    total_accuracy: float
    n_failed: int
    sigma: float


def group_assignment(rows: pd.DataFrame, by: str, group: str) -> GroupAssignment:
    """Return a group and its rest in a table of distances."""
    grouped = split_groups(rows, by)
    own = grouped.index(group)
    rest = np.concatenate([values for k, values in enumerate(grouped.values) if k != own])
    n, n_correct = grouped.n, grouped.n_correct
    rest_accuracy = (n_correct.sum() - n_correct[own]) / (n.sum() - n[own])
    accuracies = n_correct[own] / n[own], rest_accuracy, n_correct.sum() / n.sum()
    areas = float(grouped.values[own].mean()), float(rest.mean())
    return GroupAssignment(
        int(n[own]),
        *areas,
        *accuracies,
        int(grouped.n_failed.sum()),
        float(sigma_bias(grouped)[own]),
    )


@dataclass(frozen=True)
class Study:
    """What is compared: plain and mitigated networks of a model, in the gap of a group."""

    by: Annotated[str, typer.Option(help="A partition, as in lighting.")]
    group: Annotated[str, typer.Option(help="The protected group.")]
    model: str = "small_cnn"
    alphas: Annotated[str, typer.Option(help="Of the regularizer; '' for none.")] = "0.3,1,3"
    taus: Annotated[
        str, typer.Option("--tau", "--taus", help="Of the regularizer, L2 in pixels.")
    ] = "0.5"
    epsilons: Annotated[
        str, typer.Option(help="Of adversarial training, L2 in pixels; '' for none.")
    ] = "0.25,0.5"
    shares: Annotated[str, typer.Option(help="Of the group in re-weighting; '' for none.")] = (
        "0.5,0.67"
    )
    epochs: Annotated[int | None, typer.Option(help="The recipe's own by default.")] = None
    device: str = "auto"

    @cached_property
    def settings(self) -> dict[str, dict[str, Mitigation]]:
        """The settings of every method by their label; a method without settings is left out."""
        regularizer: dict[str, Mitigation] = {}
        if self.alphas:
            values = {
                "alpha": parse_numbers(self.alphas, "--alphas"),
                "tau": parse_numbers(self.taus, "--tau"),
            }
            for term in Regularizer(self.by, self.group).variations(values):
                regularizer[f"alpha {term.alpha:g}, tau {term.tau:g}"] = term
        found: dict[str, dict[str, Mitigation]] = {
            "regularizer": regularizer,
            "adversarial": {
                f"epsilon {epsilon:g}": AdversarialTraining(epsilon)
                for epsilon in parse_numbers(self.epsilons, "--epsilons")
            },
            "re-weighting": {
                f"share {share:g}": Reweighting(self.by, self.group, share)
                for share in parse_numbers(self.shares, "--shares")
            },
        }
        return {method: settings for method, settings in found.items() if settings}

    @property
    def labels(self) -> list[str]:
        """The settings of all methods, the plain network first."""
        return [PLAIN, *(label for of_method in self.settings.values() for label in of_method)]


class Seed:
    """The networks of one seed and what was measured on them.

    Everything is computed when it is first asked for, and kept.
    """

    def __init__(self, study: Study, request: DatasetRequest) -> None:
        self.study, self.request, self.seed = study, request, request.seed
        self.tables: dict[tuple[str, str], pd.DataFrame] = {}

    @cached_property
    def data(self) -> Dataset:
        """The dataset with its validation split."""
        return open_dataset(self.request)

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The trained runs by their label."""
        study = self.study
        mitigations: dict[str, Mitigation | None] = {PLAIN: None}
        for of_method in study.settings.values():
            mitigations |= of_method
        runs = {}
        for label, mitigation in mitigations.items():
            say(f"seed {self.seed}: training {label}")
            options = {"epochs": study.epochs, "keep": "1", "device": study.device}
            runs[label] = rb.train(study.model, self.data, mitigation=mitigation, **options)
        return runs

    def distances(self, label: str, split: str) -> pd.DataFrame:
        """Return distances on a split: by the standard tier on test images, or fast."""
        if (label, split) not in self.tables:
            method = STANDARD if split == "test" else FAST
            say(f"seed {self.seed}: {method} on the {split} images of {label}")
            model = rb.load_model(
                self.study.model, self.data, run=self.runs[label].name, device=self.study.device
            )
            self.tables[label, split] = rb.estimate_distances(model, self.data, method, split=split)
        return self.tables[label, split]

    def sides(
        self, label: str, split: str, by: str | None = None, group: str | None = None
    ) -> GroupAssignment:
        """Return a group, the study's own by default, and its rest on a split."""
        return group_assignment(
            self.distances(label, split), by or self.study.by, group or self.study.group
        )

    def chosen(self, method: str) -> str:
        """Return the label of the setting that the validation split chooses."""
        least = self.sides(PLAIN, "validation").total_accuracy - LARGEST_LOSS - SAME
        found = {label: self.sides(label, "validation") for label in self.study.settings[method]}
        allowed = {
            label: abs(sides.sigma)
            for label, sides in found.items()
            if sides.total_accuracy >= least and not math.isnan(sides.sigma)
        }
        return min(allowed, key=allowed.__getitem__, default=PLAIN)

    def seconds(self, label: str) -> float:
        """Return the median seconds of a run's epochs."""
        return float(np.median([record.seconds for record in self.runs[label].facts.history]))

    def work(self, until: str) -> None:
        """Do what a step needs, without printing results."""
        _ = self.runs
        if until != "train":
            for label in self.study.labels:
                self.distances(label, "validation")
        if until == "test":
            for label in (PLAIN, *(self.chosen(method) for method in self.study.settings)):
                self.distances(label, "test")


def mean_and_interval(values: list[float], form: str) -> str:
    """Return the mean over seeds with its 95% interval by Student's t; one value has none."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return form.format(mean)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1)) / math.sqrt(n)
    return f"{form.format(mean)} [{form.format(mean - half)}, {form.format(mean + half)}]"


def signed(sigma: float) -> str:
    """Return a sigma as it is printed.

    Of a network that is right on nobody of the rest, that there is none.
    """
    return "undefined" if math.isnan(sigma) else f"{sigma:+.3f}"


def tables_of_validation(study: Study, seeds: list[Seed]) -> dict[str, list[Row]]:
    """Return sigma and accuracy of every setting on the validation split, and those chosen."""
    n = ", ".join(str(seed.sides(PLAIN, "validation").n) for seed in seeds)
    n_all = len(seeds[0].data.rows("validation"))
    rows = []
    for label in study.labels:
        found = {seed.seed: seed.sides(label, "validation") for seed in seeds}
        ratios = [seed.seconds(label) / seed.seconds(PLAIN) for seed in seeds]
        rows.append(
            {
                "setting": label,
                "mean sigma": signed(float(np.mean([side.sigma for side in found.values()]))),
                "mean accuracy": np.mean([side.total_accuracy for side in found.values()]),
                "seconds an epoch, of plain": np.mean(ratios),
                **{
                    f"seed {seed}": f"{signed(side.sigma)}, {side.total_accuracy:.1%}"
                    for seed, side in found.items()
                },
            }
        )
    title = (
        f"Validation split ({FAST}): sigma of {study.by}={study.group}, accuracy; {n_all:,} images "
        f"a seed, of which in the group: {n}"
    )
    least = f"the smallest |sigma| that loses at most {LARGEST_LOSS:.0%} of validation accuracy"
    chosen = [
        {"method": method, **{f"seed {seed.seed}": seed.chosen(method) for seed in seeds}}
        for method in study.settings
    ]
    return {title: rows, f"Chosen: {least}": chosen}


def tables_of_test(study: Study, seeds: list[Seed], also: list[str]) -> dict[str, list[Row]]:
    """Return what the chosen settings did on the test split, method by method."""
    n = ", ".join(str(seed.sides(PLAIN, "test").n) for seed in seeds)
    title = (
        f"Test split ({STANDARD}): mean over {len(seeds)} seeds, 95% interval over seeds (t); "
        f"{len(seeds[0].data.rows('test')):,} images a seed, of which in the group: {n}"
    )
    tables = {
        f"{title}. {method}, as chosen": method_rows(study, seeds, method, also)
        for method in study.settings
    }
    return tables | {
        "Test split, seed by seed: change of sigma with its paired 95% interval over test images": [
            seed_row(study, seed, method) for method in study.settings for seed in seeds
        ]
    }


def method_rows(study: Study, seeds: list[Seed], method: str, also: list[str]) -> list[Row]:
    """Return what the chosen settings of one method did."""
    before = [seed.sides(PLAIN, "test") for seed in seeds]
    after = [seed.sides(seed.chosen(method), "test") for seed in seeds]
    own, rest = f"{study.by}={study.group}", "the rest"

    def row(what: str, form: str, of: Callable[[GroupAssignment], float], **more: bool) -> Row:
        values = [[of(side) for side in sides] for sides in (before, after)]
        return compared(method, what, *values, form, **more)

    rows = [
        row(f"sigma of {own}", "{:+.3f}", lambda side: side.sigma),
        row("|sigma|", "{:+.3f}", lambda side: abs(side.sigma), is_relative=True),
    ]
    for what, name in ((own, "auc"), (rest, "rest_auc")):
        title = f"mean distance (AUC) of {what}"
        rows.append(row(title, "{:.3f}", attrgetter(name), is_relative=True))
    for what, name in (("all", "total_accuracy"), (own, "accuracy"), (rest, "rest_accuracy")):
        rows.append(row(f"accuracy of {what}", "{:.1%}", attrgetter(name)))
    for other in also:
        by, group = split_spelling(other)
        found = [
            [seed.sides(label(seed), "test", by, group) for seed in seeds]
            for label in picks(method)
        ]
        size = ", ".join(str(side.n) for side in found[0])
        sigmas = [[side.sigma for side in sides] for sides in found]
        rows.append(compared(method, f"sigma of {other} (n = {size})", *sigmas, "{:+.3f}"))
    ratios = [seed.seconds(seed.chosen(method)) / seed.seconds(PLAIN) for seed in seeds]
    cost = {PLAIN: "1", method: mean_and_interval(ratios, "{:.2f}")}
    failed = {
        name: sum(side.n_failed for side in sides)
        for name, sides in ((PLAIN, before), (method, after))
    }
    return [
        *rows,
        {"": "seconds an epoch, of plain", **cost},
        {"": "images without a distance", **failed},
    ]


def seed_row(study: Study, seed: Seed, method: str) -> Row:
    """Return the change of sigma of one seed by the setting chosen of a method."""
    label = seed.chosen(method)
    tables = seed.distances(PLAIN, "test"), seed.distances(label, "test")
    row = compare_bias(*tables, study.by).set_index("group").loc[study.group]
    return {
        "method": method,
        "seed": seed.seed,
        "setting": label,
        "sigma, plain": row["sigma_first"],
        "sigma, chosen": row["sigma_second"],
        "change": f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]",
        "n": row["n"],
    }


def picks(method: str) -> tuple[Callable[[Seed], str], Callable[[Seed], str]]:
    """Return functions that pick the labels to compare of a seed: plain, and the method's."""
    return (lambda seed: PLAIN), (lambda seed: seed.chosen(method))


def compared(
    method: str,
    what: str,
    before: list[float],
    after: list[float],
    form: str,
    *,
    is_relative: bool = False,
) -> Row:
    """Return a quantity before and after, and its change from seed to seed.

    In shares of itself too, where asked for.
    """
    pairs = list(zip(before, after, strict=True))
    change = mean_and_interval([b - a for a, b in pairs], form.replace("{:.", "{:+."))
    if is_relative:
        change += f"; {mean_and_interval([b / a - 1 for a, b in pairs], '{:+.0%}')}"
    means = {PLAIN: mean_and_interval(before, form), method: mean_and_interval(after, form)}
    return {"": what, **means, "change": change}


def report(results: Results) -> str:
    """Return all tables in Markdown."""
    forms = {"mean accuracy": ".1%", "seconds an epoch, of plain": ".2f"}
    forms |= dict.fromkeys(("sigma, plain", "sigma, chosen"), "+.3f")
    return f"{results.facts['study']}\n\n{page(results, forms)}"


def main(
    data: DatasetRequest,
    study: Study,
    seeds: Annotated[int, typer.Option(help="As many, from 0.")] = 5,
    set_aside: Annotated[
        float, typer.Option("--validation", help="Share of the training images set aside.")
    ] = 0.2,
    also: Annotated[
        list[str] | None, typer.Option(help="Other groups to report on, as in race=Black.")
    ] = None,
    until: Annotated[str, typer.Option(help="train, validate or test.")] = "test",
    only_seed: Annotated[
        int | None, typer.Option(help="Do this seed's work and write no results.")
    ] = None,
) -> None:
    """Train, choose and measure."""
    if until not in STEPS:
        raise SystemExit(f"--until {until} is none of {', '.join(STEPS)}")
    numbers_of_seeds = range(seeds) if only_seed is None else [only_seed]
    measured = [
        Seed(study, replace(data, seed=number, validation=set_aside)) for number in numbers_of_seeds
    ]
    for seed in measured:
        seed.work(until)
    if only_seed is not None or until == "train":
        return
    facts = measured[0].runs[PLAIN].facts
    said = (
        f"{data.name}, {study.model}, {facts.n_epochs} epochs, {len(measured)} seeds; images: "
        f"{facts.n_train:,} for training, {facts.n_validation:,} for validation, "
        f"{facts.n_test:,} for the test."
    )
    tables = tables_of_validation(study, measured)
    if until == "test":
        tables |= tables_of_test(study, measured, also or [])
    print(report(save("mitigation", tables, study=said)))


if __name__ == "__main__":
    typer.run(options_from_records(main, ("seed", "validation", "download")))
