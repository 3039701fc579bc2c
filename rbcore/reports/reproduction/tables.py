"""The tables of a reproduction: one row a quantity, with the paper's value and ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rbcore import analyses
from rbcore.datasets import DATASETS
from rbcore.distances.stored import stored_distances
from rbcore.inference import binomial_interval, robustness_bias
from rbcore.measures import Policy
from rbcore.reports.reproduction import paper
from rbcore.reports.reproduction.plan import LINEAR, NETWORK
from rbcore.reports.reproduction.prepare import Material
from rbcore.wording import verdict_phrases

COLUMNS = ["dataset", "model", "quantity", "paper", "ours", "n", "low", "high", "note"]
ABSENT = "not run: data absent"
PERCENT = 100.0
COMPOSITION = {
    "utkface": ("race", ("class", "age:15,40", "age:25")),
    "toyfaces": ("site", ("class",)),
}
"""What is standardized: a partition, and mixes to bring to one, the finest first. The class of both
is the bin of age.
"""
AGES = {
    "class": "5 bins of age",
    "age:15,40": "3 bins of age (15, 40)",
    "age:25": "2 bins of age (25)",
}
Row = dict[str, object]


def as_table(rows: Sequence[Row], columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """Return rows as a table with all columns of a reproduction.

    What a row does not say is NaN, or empty in a column of text.
    """
    texts = {"dataset", "model", "quantity", "note"}
    values = {
        name: [row.get(name, "" if name in texts else np.nan) for row in rows] for name in columns
    }
    table = pd.DataFrame(values).astype(dict.fromkeys(set(columns) - texts, np.float64))
    return table.astype({"n": "Int64"})


def missing(material: Material, known: Row) -> Row:
    """Return the row that says why a quantity is not there."""
    reason = "; ".join(material.problems) or "not run: no distances"
    return {"dataset": material.title, **known, "note": joined(reason, known.get("note"))}


def joined(*notes: object) -> str:
    """Return the notes that say something as one."""
    return "; ".join(str(note) for note in notes if note)


def measured(found: Mapping[Any, Any], name: str = "sigma", scale: float = 1.0) -> Row:
    """Return what a row says of a measured number, of its n and of its interval."""
    ends = {end: scale * found[end] for end in ("low", "high")}
    return {"ours": scale * found[name], "n": found["n"], **ends}


def data_table(materials: Sequence[Material]) -> pd.DataFrame:
    """List what is at hand: images, and the test accuracy of every model."""
    rows: list[Row] = []
    for material in materials:
        if material.dataset is None:
            rows.append(missing(material, {"quantity": "test accuracy"}))
            continue
        spec, dataset = DATASETS[material.name], material.dataset
        n_train, n_test = len(dataset.rows("train")), len(dataset.rows("test"))
        for model, run in material.runs.items():
            accuracy = run.facts.test_accuracy
            low, high = binomial_interval(np.array([round(accuracy * n_test)]), n_test)
            published = (
                f" of {spec.n_train:,} published"
                if spec.n_train and spec.n_train != n_train
                else ""
            )
            rows.append(
                {
                    "dataset": material.title,
                    "model": model,
                    "quantity": "test accuracy, %",
                    "ours": PERCENT * accuracy,
                    "n": n_test,
                    "low": PERCENT * low[0],
                    "high": PERCENT * high[0],
                    "note": (
                        f"{n_train:,} train images{published}, {dataset.size} px, {run.n_epochs} "
                        "epochs, recipe "
                        f"{run.facts.recipe.name}, "
                        f"seed {dataset.seed}"
                    ),
                }
            )
    return as_table(rows)


def toys_table() -> pd.DataFrame:
    """Measure figure 1's shares within the budget, and figure 2's sigma by class."""
    rows: list[Row] = []
    for name, toy in zip("AB", analyses.budget_toys(), strict=True):
        fooled = analyses.fooled_at(toy.distances, "group", budget=analyses.BUDGET_TOY_TAU)
        rows += [
            {
                "dataset": f"figure 1, classifier {name}",
                "quantity": f"{found['group']}: within tau, %",
                "paper": PERCENT * paper.TOY_SHARES[name, str(found["group"])],
                **measured(found, "share", PERCENT),
                "n": found["n_correct"],
                "note": "the points are placed so that the shares are the paper's; accuracy 100%",
            }
            for found in fooled.to_dict("records")
        ]
    toy = analyses.class_toy()
    rows += [
        {
            "dataset": "figure 2",
            "model": "logistic regression",
            "quantity": f"{found['group']}: sigma",
            **measured(found),
            "note": f"accuracy {found['accuracy']:.1%}"
            + ("; the paper: closest to the boundary" if found["group"] == "brown" else ""),
        }
        for found in robustness_bias(toy.distances, "class").to_dict("records")
    ]
    return as_table(rows)


def median_table(materials: Sequence[Material]) -> pd.DataFrame:
    """Compare the median exact distance of logistic regression (section 6)."""
    rows: list[Row] = []
    for material in materials:
        known: Row = {"model": LINEAR, "paper": paper.MEDIAN_EXACT.get(material.name, np.nan)}
        exact = material.rows(LINEAR, "exact")
        if exact is None:
            rows.append(missing(material, {"quantity": "median exact distance, L2", **known}))
            continue
        for misclassified, said in (
            ("exclude", "correct images"),
            ("zero", "all images, misclassified at 0"),
        ):
            found = analyses.median_distance(exact, policy=Policy(misclassified=misclassified))
            rows.append(
                {
                    **known,
                    "dataset": material.title,
                    "quantity": f"median exact distance, L2: {said}",
                    **measured(vars(found), "median"),
                    "note": "section 6 does not say which images count",
                }
            )
    return as_table(rows)


def budget_table(materials: Sequence[Material]) -> pd.DataFrame:
    """Count who is fooled within the paper's budget, by class and attributes (figure 3)."""
    rows: list[Row] = []
    for material in materials:
        entry = material.find(NETWORK, "minimal")
        if entry is None:
            quantity = "fooled within L2 0.5, % of correct images"
            rows.append(missing(material, {"quantity": quantity, "model": NETWORK}))
            continue
        partitions = list(material.partitions)
        partitions += ["race*gender"] if {"race", "gender"} <= set(partitions) else []
        for by in partitions:
            rows += [
                {
                    "dataset": material.title,
                    "model": NETWORK,
                    "quantity": (
                        f"{by} {found['group']}: fooled within L2 {found['budget']:g}, "
                        "% of correct images"
                    ),
                    **measured(found, "share", PERCENT),
                    "n": found["n_correct"],
                    "note": (
                        f"at least, by Minimal; {found['n'] - found['n_correct']} more are "
                        "misclassified already"
                    ),
                }
                for found in analyses.fooled_at(entry.rows, by).to_dict("records")
            ]
    return as_table(rows)


def signs_table(materials: Sequence[Material]) -> pd.DataFrame:
    """Compare sigma of the groups that section 8.2 names with its signs."""
    rows: list[Row] = []
    for (name, partition, group), sign in paper.SIGNS.items():
        for material in materials:
            if material.name != name:
                continue
            said = "less robust" if sign < 0 else "more robust"
            known: Row = {
                "quantity": f"sigma of {partition} {group}; paper: {said} for all models",
                "paper": np.nan,
            }
            found = [(model, material.rows(model, "deepfool")) for model in material.runs]
            for model, distances in found:
                if distances is not None:
                    bias = robustness_bias(distances, partition)
                    bias = bias.assign(words=verdict_phrases(bias)).set_index("group")
                    if group in bias.index:
                        ours = bias.loc[group].to_dict()
                        where = {"dataset": material.title, "model": model}
                        rows.append({**known, **where, **measured(ours), "note": ours["words"]})
            if not found:
                rows.append(missing(material, known))
    return as_table(rows)


def composition_table(materials: Sequence[Material]) -> pd.DataFrame:
    """Measure sigma raw and at one mix of ages: by race on UTKFace, by site on the toy faces."""
    rows: list[Row] = []
    for material in materials:
        if material.name not in COMPOSITION:
            continue
        by, within = COMPOSITION[material.name]
        if material.dataset is None or NETWORK not in material.runs:
            rows.append(missing(material, {"quantity": f"{by}: sigma, raw and standardized"}))
            continue
        for seed, run_name, distances in _runs_with_deepfool(material):
            for found in analyses.raw_and_standardized(distances, by, within).to_dict("records"):
                known: Row = {"dataset": material.title, "model": f"{NETWORK}, seed {seed}"}
                quantity = f"{by} {found['group']}: sigma"
                raw = {"quantity": f"{quantity}, raw", "note": run_name}
                rows.append({**known, **measured(found), **raw})
                note = "refused: " + found["refused"]
                if found["within"]:
                    note = (
                        f"one mix of {AGES.get(found['within'], found['within'])}; worth "
                        f"{found['n_effective']:.0f} equally weighted images; smallest cell "
                        f"{found['smallest_cell']:.0f}"
                    )
                standardized = {  # NaN where it was refused
                    "quantity": f"{quantity}, standardized",
                    "ours": found["standardized"],
                    "n": found["n"],
                    "low": found["standardized_low"],
                    "high": found["standardized_high"],
                    "note": note,
                }
                rows.append({**known, **standardized})
    return as_table(rows)


def _runs_with_deepfool(material: Material) -> list[tuple[int, str, pd.DataFrame]]:
    """Return seed, name and distances of the runs of the network that differ in their seed."""
    found = []
    for run in analyses.runs_over_seeds(material.runs[NETWORK]):
        stored = stored_distances(run, "last", "deepfool")
        if stored is not None and len(stored.rows) == run.facts.n_test:
            found.append((int(run.facts.seed), run.name, stored.rows))
    return found


def pretraining_table(materials: Sequence[Material]) -> pd.DataFrame:
    """Compare pre-trained with from-scratch runs of a model (section 8.2)."""
    rows: list[Row] = []
    for material in materials:
        for scratch, pretrained in (
            analyses.pretraining_pairs(material.name) if material.dataset else ()
        ):
            for by in material.partitions:
                for epoch in ("first", "last"):
                    found = analyses.compare_pretraining(
                        scratch, pretrained, "deepfool", by, epoch=epoch
                    )
                    records = [] if found is None else found.to_dict("records")
                    rows += [
                        {
                            "dataset": material.title,
                            "model": scratch.model,
                            "quantity": (
                                f"{epoch} epoch, {by} {record['group']}: sigma "
                                "pre-trained - from scratch"
                            ),
                            **measured(record, "difference"),
                            "note": (
                                f"from scratch {record['sigma_first']:+.3f}, pre-trained "
                                f"{record['sigma_second']:+.3f}"
                            ),
                        }
                        for record in records
                    ]
    if not rows:
        note = (
            "not run: no model has both a pre-trained and a from-scratch run with DeepFool "
            "distances (no ImageNet weights)"
        )
        rows.append(
            {"dataset": "all", "quantity": "sigma pre-trained - from scratch", "note": note}
        )
    return as_table(rows)
