"""What is stored of several models and epochs: sigma of every group (figures 7 and 8), and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.api import stored_distances
from rbcore.best import BEST
from rbcore.distances import resolve_method
from rbcore.inference import robustness_bias
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.models import MODELS
from rbcore.models.checkpoints import Run, list_runs
from rbcore.recipes import named_epochs

EPOCHS = ("first", "middle", "last")


@dataclass(frozen=True)
class MissingDistances:
    """Distances that an analysis wanted and the store does not hold."""

    run: Run
    epoch: int


def comparable_runs(dataset: str, like: Run | None = None) -> list[Run]:
    """Return for every model its newest complete plain run on one and the same data, in the order of the models' names.

    Parameters
    ----------
    dataset
        Name of the dataset.
    like
        The run whose data the others must have seen: content, size and split; the newest run where none is given.
    """
    usable = [run for run in list_runs(dataset) if run.is_plain and run.is_complete]
    if not usable:
        return []
    fingerprint = (like or usable[0]).facts["dataset_fingerprint"]
    newest: dict[str, Run] = {}
    for run in usable:
        if run.facts["dataset_fingerprint"] == fingerprint:
            newest.setdefault(run.model, run)
    return [newest[model] for model in sorted(newest)]


def applies(method: str, run: Run) -> bool:
    """Whether a method applies to a run's network: those for linear models do not apply to others."""
    if method == BEST:
        return True
    chosen, _ = resolve_method(method)
    return not chosen.only_linear or (run.model in MODELS and MODELS[run.model].is_linear)


def bias_by_model(
    runs: Sequence[Run], method: str, by: str, *, epochs: Sequence[str] = EPOCHS, policy: Policy = DEFAULT_POLICY
) -> tuple[pd.DataFrame, list[MissingDistances]]:
    """Measure sigma of every group for several runs and epochs (figures 7 and 8).

    Parameters
    ----------
    runs
        As `comparable_runs` returns them; those the method does not apply to are left out.
    method, by, policy
        As `rbcore.api.stored_distances` and `rbcore.inference.robustness_bias` take them.
    epochs
        Names of epochs; the cells of one that a run keeps no checkpoint of are empty, and nothing can fill them.

    Returns
    -------
    table
        One row a model, epoch and group: ``model``, ``run``, ``epoch`` (its name), ``epoch_number``, and the columns of
        `robustness_bias`; sigma is NaN where the distances are missing.
    missing
        The distances that would fill such cells, or complete those measured on a part of the test images.
    """
    found: list[pd.DataFrame] = []
    missing: list[MissingDistances] = []
    places: list[dict[str, str | int]] = []
    for run in runs:
        if not applies(method, run):
            continue
        for name in epochs:
            number = named_epochs(run.n_epochs)[name]
            place: dict[str, str | int] = {"model": run.model, "run": run.name, "epoch": name, "epoch_number": number}
            stored = stored_distances(run, number, method) if number in run.epochs else None
            if stored is not None:
                found.append(robustness_bias(stored.rows, by, policy=policy).assign(**place))
            else:
                places.append(place)
            is_whole = stored is not None and len(stored.rows) == run.facts["n_test"]
            if number in run.epochs and not is_whole and MissingDistances(run, number) not in missing:
                missing.append(MissingDistances(run, number))
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    if found and places:
        groups = list(dict.fromkeys(table["group"]))
        empty = pd.DataFrame([{**place, "group": group, "sigma": np.nan} for place in places for group in groups])
        table = pd.concat([table, empty], ignore_index=True)
    return table, missing


def verdict_over_models(table: pd.DataFrame) -> str:
    """Say in words which group is less robust for most models at the last epoch, and how often signs stay from the first."""
    ranked = table[table["sigma"].notna() & table["is_ranked"].eq(True)]
    last = ranked[ranked["epoch"] == "last"]
    if last.empty:
        return "No distances of a last epoch with large enough groups are computed yet."
    n_models = last["model"].nunique()
    below = last[last["high"] < 0].groupby("group")["model"].nunique()
    if below.empty:
        sentence = f"At the last epoch no group is shown to be less robust, in any of {n_models} models."
    else:
        names = below.index[below == below.max()].astype(str)
        are = "is" if len(names) == 1 else "are"
        sentence = (
            f"At the last epoch {' and '.join(names)} {are} less robust than the rest in {below.max()} of {n_models} models "
            "(95% interval below 0)."
        )
    first = ranked[ranked["epoch"] == "first"]
    both = first.merge(last, on=["model", "group"], suffixes=("_first", "_last"))
    both = both[both["epoch_number_first"] < both["epoch_number_last"]]
    if both.empty:
        return sentence
    n_same = int((np.sign(both["sigma_first"]) == np.sign(both["sigma_last"])).sum())
    return f"{sentence} From the first epoch to the last, sigma keeps its sign in {n_same} of {len(both)} cells."
