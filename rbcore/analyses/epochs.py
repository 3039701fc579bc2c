"""Sigma and accuracy of every group through training, and since when signs are the last's (7.2)."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from rbcore.analyses.agreement import agreement_of, paired_sigmas
from rbcore.distances.stored import stored_distances
from rbcore.errors import MeasureError
from rbcore.inference import FEWEST, accuracy_interval, bootstrap_sigma
from rbcore.measures import DEFAULT_POLICY, Policy, sigma_bias, split_groups
from rbcore.runs.checkpoints import Run
from rbcore.training.recipes import named_epochs
from rbcore.wording import caution_of, listed, name_of_group, size_in_words, too_few_but_lower


def bias_of_epoch(
    distances: pd.DataFrame, by: str, *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """Measure sigma and accuracy of every group with intervals but no tests.

    That is quick enough for every epoch of a run.

    Parameters
    ----------
    distances, by, policy
        As `rbcore.inference.robustness_bias`.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``, ``n``, ``n_counted``, ``n_train``, ``n_correct``,
        ``n_fallback``, ``is_ranked``, ``accuracy``, ``accuracy_low``, ``accuracy_high``, ``sigma``,
        ``low``, ``high``; each as `rbcore.inference.robustness_bias` has it.
    """
    grouped = split_groups(distances, by, policy)
    low, high = bootstrap_sigma(grouped)
    accuracy_low, accuracy_high = accuracy_interval(grouped)
    return pd.DataFrame(
        {
            "group": grouped.groups,
            "n": grouped.n,
            "n_counted": [len(values) for values in grouped.values],
            "n_correct": grouped.n_correct,
            "n_fallback": grouped.n_fallback,
            "n_train": grouped.n_train,
            "is_ranked": np.array([len(values) >= FEWEST for values in grouped.values])
            & (grouped.n_train != 0),
            "accuracy": grouped.n_correct / grouped.n,
            "accuracy_low": accuracy_low,
            "accuracy_high": accuracy_high,
            "sigma": sigma_bias(grouped),
            "low": low,
            "high": high,
        }
    )


def epoch_pairs(
    run: Run,
    method: str,
    partitions: Sequence[str],
    epoch: str | int,
    *,
    policy: Policy = DEFAULT_POLICY,
) -> pd.DataFrame | None:
    """Pair sigma at an earlier epoch with sigma at the last, over the images that both tables hold.

    Parameters
    ----------
    run, method
        As `rbcore.distances.stored.stored_distances`.
    partitions, policy
        As `rbcore.analyses.agreement.paired_sigmas`.
    epoch
        ``first | middle``, or a number from 1.

    Returns
    -------
    pandas.DataFrame or None
        As `paired_sigmas`: ``sigma_first`` is that of the epoch, ``sigma_second`` that of the last.
        None where distances of either epoch are not stored, or the epoch is the last.
    """
    number = named_epochs(run.n_epochs)[epoch] if isinstance(epoch, str) else epoch
    last = run.n_epochs
    if number == last or not {number, last} <= set(run.epochs):
        return None
    early, late = stored_distances(run, number, method), stored_distances(run, last, method)
    if early is None or late is None:
        return None
    return paired_sigmas(early.rows, late.rows, partitions, policy=policy)


def sign_consistency(
    run: Run, method: str, partitions: Sequence[str], *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """Count for every stored epoch before the last how many groups have the last's sign of sigma.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: ``epoch``, and the attributes of `rbcore.analyses.Agreement`. Empty where
        the last epoch's distances or all others are not stored. An epoch at which no group has a
        sigma is left out.
    """
    rows = []
    for epoch in run.epochs:
        pairs = epoch_pairs(run, method, partitions, epoch, policy=policy)
        if (
            pairs is not None
            and np.isfinite(pairs[["sigma_first", "sigma_second"]]).all(axis=1).any()
        ):
            rows.append({"epoch": epoch, **asdict(agreement_of(pairs))})
    return pd.DataFrame(rows)


def verdict_through_training(table: pd.DataFrame, *, kind: str = "") -> str:
    """Say which group is least robust at the last epoch, and from which epoch on it is below 0.

    Parameters
    ----------
    table
        `bias_of_epoch` of several epochs, joined, with ``epoch``.
    kind
        What the groups are, for names that are bare numbers: as `rbcore.wording.verdict` takes it.

    Raises
    ------
    MeasureError
        If the table is empty.
    """
    if table.empty:
        raise MeasureError("No epoch was measured; estimate the distances of at least one epoch.")
    epochs = sorted(table["epoch"].unique())
    here = table[table["epoch"] == epochs[-1]]
    ranked = here[here["is_ranked"] & here["sigma"].notna()]
    if ranked.empty:
        return f"At epoch {epochs[-1]} no group has enough images to be ranked."
    least = ranked.loc[ranked["sigma"].idxmin()]
    few = too_few_but_lower(here, than=float(least["sigma"]))
    names = [
        f"{name_of_group(str(row['group']), kind)} "
        f"({size_in_words(row['n'], row['n_counted'])}, {row['sigma']:+.2f})"
        for _, row in few.iterrows()
    ]
    but = (
        (
            f" With too few images to rank, {listed(names)} "
            f"{'lies' if len(few) == 1 else 'lie'} no higher."
        )
        if names
        else ""
    )
    caution = caution_of(here)
    but += f" {caution}" if caution else ""
    own = table[table["group"] == least["group"]].sort_values("epoch")
    is_below = (own["high"] < 0).to_numpy()
    n_below, since = (
        int(is_below.sum()),
        own["epoch"].to_numpy()[len(own) - _run_at_end(is_below) :],
    )
    name = name_of_group(str(least["group"]), kind, begins=True)
    said = (
        f"{name} is least robust at epoch {epochs[-1]}: sigma {least['sigma']:+.2f} "
        f"{interval_in_words(least['low'], least['high'])}, "
        f"{size_in_words(least['n'], least['n_counted'])}"
    )
    if not len(since):
        return (
            f"{said}; its 95% interval is below 0 at {n_below} of {len(own)} epochs, and not "
            f"at this one.{but}"
        )
    return (
        f"{said}; its 95% interval is below 0 at {n_below} of {len(own)} epochs, and at all of "
        f"them from {since[0]} on.{but}"
    )


def interval_in_words(low: float, high: float) -> str:
    """Return an interval of sigma as it is printed; one that is not defined is said to be so."""
    return f"[{low:+.2f}, {high:+.2f}]" if np.isfinite(high - low) else "(interval not defined)"


def _run_at_end(flags: np.ndarray) -> int:
    """Return how many flags at the end are all set."""
    return len(flags) if flags.all() else int(np.argmin(flags[::-1]))
