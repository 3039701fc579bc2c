"""Analyses over many models and epochs: they join stored distances with the measures, and compute no distances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.api import stored_distances
from rbcore.inference import FEWEST, robustness_bias
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.models.checkpoints import Run, list_runs

EPOCHS = ("first", "middle", "last")


@dataclass(frozen=True)
class MissingDistances:
    """Distances that an analysis wanted and the store does not hold."""

    run: Run
    epoch: int


def default_runs(dataset: str) -> list[Run]:
    """Return for every model trained on a dataset its newest complete plain run, in the order of the models' names."""
    newest: dict[str, Run] = {}
    for run in list_runs(dataset):
        if run.is_plain and run.is_complete:
            newest.setdefault(run.model, run)
    return [newest[model] for model in sorted(newest)]


def bias_by_model(
    runs: Sequence[Run], method: str, by: str, *, epochs: Sequence[str] = EPOCHS, policy: Policy = DEFAULT_POLICY
) -> tuple[pd.DataFrame, list[MissingDistances]]:
    """Measure sigma of every group for several runs and epochs (figures 7 and 8).

    Parameters
    ----------
    runs
        As `default_runs` returns them.
    method, by, policy
        As `rbcore.api.stored_distances` and `rbcore.inference.robustness_bias` take them.
    epochs
        Names of epochs; one that a run keeps no checkpoint of has no cells.

    Returns
    -------
    table
        One row a model, epoch and group: ``model``, ``run``, ``epoch`` (its name), ``epoch_number``, and the columns of
        `robustness_bias`; sigma is NaN where the distances are missing.
    missing
        The distances that would fill these cells.
    """
    found: list[pd.DataFrame] = []
    missing: list[MissingDistances] = []
    places: list[dict[str, str | int]] = []
    for run in runs:
        for name in epochs:
            number = {"first": 1, "middle": -(-run.n_epochs // 2), "last": run.n_epochs}[name]
            place: dict[str, str | int] = {"model": run.model, "run": run.name, "epoch": name, "epoch_number": number}
            stored = stored_distances(run, number, method) if number in run.epochs else None
            if stored is not None:
                found.append(robustness_bias(stored.rows, by, policy=policy).assign(**place))
            elif number in run.epochs:
                places.append(place)
                if MissingDistances(run, number) not in missing:
                    missing.append(MissingDistances(run, number))
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    if found and places:
        groups = list(dict.fromkeys(table["group"]))
        empty = pd.DataFrame([{**place, "group": group, "sigma": np.nan} for place in places for group in groups])
        table = pd.concat([table, empty], ignore_index=True)
    return table, missing


def verdict_over_models(table: pd.DataFrame) -> str:
    """Say in words which group is less robust for most models at the last epoch, and how often signs stay from the first."""
    ranked = table[table["sigma"].notna() & (table["n"] >= FEWEST)]
    last = ranked[ranked["epoch"] == "last"]
    if last.empty:
        return "No distances of a last epoch with large enough groups are computed yet."
    n_models = last["model"].nunique()
    below = last[last["high"] < 0].groupby("group")["model"].nunique()
    if below.empty:
        sentence = f"At the last epoch no group is shown to be less robust, in any of {n_models} models."
    else:
        groups = " and ".join(below.index[below == below.max()].astype(str))
        sentence = f"At the last epoch {groups} is less robust than the rest in {below.max()} of {n_models} models (95% interval below 0)."
    first = ranked[ranked["epoch"] == "first"]
    both = first.merge(last, on=["model", "group"], suffixes=("_first", "_last"))
    if both.empty:
        return sentence
    n_same = int((np.sign(both["sigma_first"]) == np.sign(both["sigma_last"])).sum())
    return f"{sentence} From the first epoch to the last, sigma keeps its sign in {n_same} of {len(both)} cells."
