"""Sigma and curves of every group for several models, epochs and methods (figures 6 to 16)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.distances import resolve_method
from rbcore.distances.best import BEST
from rbcore.distances.stored import stored_distances
from rbcore.inference import robustness_bias
from rbcore.measures import DEFAULT_POLICY, Policy, proportion_beyond, split_groups
from rbcore.models import MODELS
from rbcore.runs.checkpoints import Run, list_runs
from rbcore.training.recipes import named_epochs
from rbcore.wording import (
    LESS_ROBUST,
    NO_DIFFERENCE,
    caution_of,
    listed,
    name_of_group,
    size_in_words,
    too_few_but_lower,
    verdicts,
)

EPOCHS = ("first", "middle", "last")
MISSING = "not computed"
MOST_NAMED = 5
RULE = "permutation test, 5% after Holm's correction"
"""What the verdicts of `bias_by_model` rest on, in words."""
SHOWN_SHARE = 0.99
"""Share of the distances up to which small curves are drawn: the farthest few would
squeeze all others.
"""

Measure = Callable[[Run, int, str, str], pd.DataFrame | None]
"""From run, epoch, method and partition to a table as of `robustness_bias`, or None where no
distances are stored.
"""


@dataclass(frozen=True)
class MissingDistances:
    """Distances that an analysis wanted and the store does not hold."""

    run: Run
    epoch: int


def comparable_runs(dataset: str, like: Run | None = None) -> list[Run]:
    """Return for every model its newest complete plain run on the same data, by the model's name.

    Parameters
    ----------
    dataset
        Name of the dataset.
    like
        The run whose data the others must have seen: content, size and split; the newest run
        where none is given.
    """
    usable = [run for run in list_runs(dataset) if run.is_plain and run.is_complete]
    if not usable:
        return []
    fingerprint = (like or usable[0]).facts.dataset_fingerprint
    newest: dict[str, Run] = {}
    for run in usable:
        if run.facts.dataset_fingerprint == fingerprint:
            newest.setdefault(run.model, run)
    return [newest[model] for model in sorted(newest)]


def applies(method: str, run: Run) -> bool:
    """Whether a method applies to a run's network; some are for linear models only."""
    if method == BEST:
        return True
    chosen, _ = resolve_method(method)
    return not chosen.only_linear or (run.model in MODELS and MODELS[run.model].is_linear)


def measure_stored(
    run: Run, epoch: int, method: str, by: str, *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame | None:
    """Measure `robustness_bias` of what the store holds; None where it holds nothing."""
    stored = stored_distances(run, epoch, method)
    return None if stored is None else robustness_bias(stored.rows, by, policy=policy)


def bias_by_model(
    runs: Sequence[Run],
    method: str,
    by: str,
    *,
    epochs: Sequence[str] = EPOCHS,
    policy: Policy = DEFAULT_POLICY,
    measure: Measure | None = None,
) -> tuple[pd.DataFrame, list[MissingDistances]]:
    """Measure sigma of every group for several runs and epochs (figures 7 and 8).

    Parameters
    ----------
    runs
        As `comparable_runs` returns them; those the method does not apply to are left out.
    method, by, policy
        As `rbcore.distances.stored.stored_distances` and
        `rbcore.inference.robustness_bias` take them.
    epochs
        Names of epochs; the cells of one that a run keeps no checkpoint of are empty, and
        nothing can fill them.
    measure
        How one table is measured, for those who keep what was measured, or adjust it;
        `measure_stored` where none is given.

    Returns
    -------
    table
        One row a model, epoch and group: ``model``, ``run``, ``epoch`` (its name),
        ``epoch_number``, ``method``, ``by``, the columns of `robustness_bias`, and ``verdict`` as
        of `rbcore.wording.verdicts`. Where the distances are missing, sigma is NaN and the
        verdict `MISSING`.
    missing
        The distances that would fill such cells, or complete those measured on a part
        of the test images.
    """
    found: list[pd.DataFrame] = []
    missing: list[MissingDistances] = []
    places: list[dict[str, str | int]] = []
    for run in runs:
        if not applies(method, run):
            continue
        numbers = named_epochs(run.n_epochs)
        for name in epochs:
            number = numbers[name]
            place: dict[str, str | int] = {
                "model": run.model,
                "run": run.name,
                "epoch": name,
                "epoch_number": number,
            }
            place |= {"method": method, "by": by}
            bias = None
            if number in run.epochs:
                bias = (
                    measure(run, number, method, by)
                    if measure
                    else measure_stored(run, number, method, by, policy=policy)
                )
            if bias is not None:
                own = bias if "verdict" in bias else bias.assign(verdict=verdicts(bias))
                found.append(own.assign(**place))
            else:
                places.append(place)
            is_whole = bias is not None and int(bias["n"].sum()) == run.facts.n_test
            if (
                number in run.epochs
                and not is_whole
                and MissingDistances(run, number) not in missing
            ):
                missing.append(MissingDistances(run, number))
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    if found and places:
        groups = list(dict.fromkeys(table["group"]))
        empty = [
            {**place, "group": group, "sigma": np.nan, "verdict": MISSING}
            for place in places
            for group in groups
        ]
        table = pd.concat([table, pd.DataFrame(empty)], ignore_index=True)
    return table, missing


def range_in_words(sizes: pd.Series) -> str:
    """Say a number, or from which to which number of them: "792 to 808"."""
    least, most = int(sizes.min()), int(sizes.max())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def counted_in_words(sizes: pd.DataFrame) -> str:
    """Say how many of ``n`` images count, as ``n_counted`` says; nothing where all do."""
    if (sizes["n"] == sizes["n_counted"]).all():
        return ""
    return f", of which {range_in_words(sizes['n_counted'])} count"


def verdict_over_models(table: pd.DataFrame, *, rule: str = RULE, kind: str = "") -> str:
    """Say which group is less robust for most models at the last epoch, and how often signs stay.

    Parameters
    ----------
    table
        As `bias_by_model` returns it, of one method and partition.
    rule
        What the verdicts in the table rest on, in words.
    kind
        What the groups are, for names that are bare numbers: as `rbcore.wording.verdict` takes it.
    """
    ranked = table[table["sigma"].notna() & table["is_ranked"].eq(True)]
    last = ranked[ranked["epoch"] == "last"]
    if last.empty:
        return "No distances of a last epoch with large enough groups are computed yet."
    n_models = last["model"].nunique()
    models = f"{n_models} model{'' if n_models == 1 else 's'}"
    measured = table[(table["epoch"] == "last") & table["n"].notna()]
    sizes = measured.groupby("model")[["n", "n_counted"]].sum()
    n = f"n = {range_in_words(sizes['n'])} test images a model{counted_in_words(sizes)}"
    below = last[last["verdict"] == LESS_ROBUST].groupby("group", sort=False)["model"].nunique()
    if below.empty:
        sentence = (
            "At the last epoch no group is shown to be less robust than the rest, in any of "
            f"{models} ({rule}; {n})."
        )
    else:
        names = [
            name_of_group(name, kind) for name in below.index[below == below.max()].astype(str)
        ]
        are = "is" if len(names) == 1 else "are"
        sentence = (
            f"At the last epoch {listed(names, most=MOST_NAMED)} {are} less robust than the rest "
            f"in {below.max()} of {models} ({rule}; {n})."
        )
    cautious = [str(model) for model, bias in last.groupby("model", sort=False) if caution_of(bias)]
    if cautious:
        sentence += (
            " Caution: more than a tenth of the distances of correct images are fallbacks, which "
            f"no attack found, for {listed(cautious, most=MOST_NAMED)}."
        )
    sentence += _too_few_in_words(table[table["epoch"] == "last"], n_models, kind)
    first = ranked[ranked["epoch"] == "first"]
    both = first.merge(last, on=["model", "group"], suffixes=("_first", "_last"))
    both = both[both["epoch_number_first"] < both["epoch_number_last"]]
    if both.empty:
        return sentence
    n_same = int((np.sign(both["sigma_first"]) == np.sign(both["sigma_last"])).sum())
    return (
        f"{sentence} From the first epoch to the last, sigma keeps its sign in {n_same} of "
        f"{len(both)} cells."
    )


def _too_few_in_words(last: pd.DataFrame, n_models: int, kind: str) -> str:
    """Say which groups with too few images to test lie lower than all that are shown.

    Those by most models come first.
    """
    lower: list[str] = []
    for _, bias in last.groupby("model", sort=False):
        shown = bias[bias["verdict"] == LESS_ROBUST]
        ranked = bias[bias["is_ranked"].eq(True)] if shown.empty else shown
        lower += list(
            too_few_but_lower(bias, than=ranked["sigma"].min() if len(ranked) else 0.0)[
                "group"
            ].astype(str)
        )
    if not lower:
        return ""
    counts = pd.Series(lower).value_counts(sort=True)
    names = [
        f"{name_of_group(str(name), kind)} (in {count} of {n_models})"
        for name, count in counts.items()
    ]
    return (
        f" With too few images to test, {listed(names, most=MOST_NAMED)} "
        f"{'lies' if len(names) == 1 else 'lie'} no higher."
    )


def find_cell(table: pd.DataFrame, where: Mapping[str, object]) -> pd.Series | None:
    """Return the row of a table of `bias_by_model` with these values of its columns, or None."""
    if any(name not in table for name in where):
        return None
    rows = table.loc[np.logical_and.reduce([table[name] == value for name, value in where.items()])]
    return None if rows.empty else rows.iloc[0]


def say_cell(cell: pd.Series, *, kind: str = "") -> str:
    """Say one row of a table of `bias_by_model` in words.

    ``kind`` as `verdict_over_models` takes it.
    """
    name = (
        f"{name_of_group(str(cell['group']), kind)} · {cell['model']}, epoch "
        f"{cell['epoch_number']}, {cell['method']}"
    )
    if not np.isfinite(cell["sigma"]):
        return f"{name}: {cell['verdict']}."
    interval = (
        f" [{cell['low']:+.2f}, {cell['high']:+.2f}]"
        if np.isfinite(cell["high"] - cell["low"])
        else ""
    )
    is_tested = cell["verdict"] == NO_DIFFERENCE and np.isfinite(cell.get("p_holm", np.nan))
    corrected = " after Holm's correction" if is_tested else ""
    right = (
        f", accuracy {cell['accuracy']:.0%}" if np.isfinite(cell.get("accuracy", np.nan)) else ""
    )
    return (
        f"{name}: sigma {cell['sigma']:+.2f}{interval}, {cell['verdict']}{corrected}, "
        f"{size_in_words(cell['n'], cell['n_counted'])}{right}."
    )


def shown_end(tables: Iterable[pd.DataFrame], policy: Policy = DEFAULT_POLICY) -> float:
    """Return where tau ends in small curves, L2: at its limit, or after `SHOWN_SHARE` of each."""
    ends = [float(rows["distance"].quantile(SHOWN_SHARE)) for rows in tables]
    return policy.tau_max or max((end for end in ends if end > 0), default=1.0)


def curves_by_panel(
    tables: dict[tuple[str, str], pd.DataFrame],
    by: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    n_taus: int = 60,
) -> pd.DataFrame:
    """Return I_P(tau) of every group for several models and methods, on one grid of tau (figure 6).

    Parameters
    ----------
    tables
        Tables of distances by model and method.
    by, policy
        As `rbcore.measures.split_groups`.
    n_taus
        Values of tau, from 0 to where `SHOWN_SHARE` of the distances of every panel end.

    Returns
    -------
    pandas.DataFrame
        One row a model, method, group and tau: ``model``, ``method``, ``n_panel`` (all its
        samples), ``group``, ``n`` (samples that count), ``tau`` (L2), ``share``.
    """
    taus = np.linspace(0.0, shown_end(tables.values(), policy), n_taus)
    parts = []
    for (model, method), rows in tables.items():
        grouped = split_groups(rows, by, policy)
        for group, values in zip(grouped.groups, grouped.values, strict=True):
            facts = {
                "model": model,
                "method": method,
                "n_panel": len(rows),
                "group": group,
                "n": len(values),
            }
            parts.append(
                pd.DataFrame({**facts, "tau": taus, "share": proportion_beyond(values, taus)})
            )
    return pd.concat(parts, ignore_index=True)
