"""Runs that differ in their mitigation only: what each does, and its cost in accuracy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rbcore.analyses.mitigation import REST, SIDE, with_sides
from rbcore.distances.stored import stored_distances
from rbcore.inference import binomial_interval, bootstrap_intervals, rb_interval
from rbcore.measures import (
    DEFAULT_POLICY,
    Policy,
    areas_under_curves,
    is_correct,
    robustness_bias_at,
    sigma_bias,
    split_groups,
)
from rbcore.runs.checkpoints import Run, list_runs
from rbcore.sampling import proportional
from rbcore.training.mitigations import MITIGATIONS, mitigation_of

SAME = (
    "dataset_fingerprint",
    "size",
    "seed",
    "builder_sha256",
    "recipe",
    "weights",
    "n_epochs",
    "validation",
)
"""Facts in which a mitigated run and its plain one agree."""
PLAIN = "plain"


def kind_of(run: Run) -> str:
    """Return the name of a run's mitigation for people; `PLAIN` where it has none."""
    if run.mitigation is None:
        return PLAIN
    kind = str(run.mitigation["kind"])
    return MITIGATIONS[kind].title if kind in MITIGATIONS else kind


def protected_by(run: Run) -> tuple[str | None, str | None]:
    """Return the partition and the group that a run's training protects.

    None where it knows none, or all of them alike.
    """
    settings = run.mitigation or {}
    by, group = (settings.get(name) for name in ("by", "group"))
    return None if by is None else str(by), None if group is None else str(group)


def setting_of(run: Run) -> str:
    """Return what a mitigation is turned up by, in a word or two: ``alpha 1``, ``epsilon 0.5``."""
    return mitigation_of(run.mitigation).label if run.mitigation else PLAIN


def mitigation_in_words(run: Run) -> str:
    """Return a mitigation with all its settings, in words."""
    if run.mitigation is None:
        return "plain training"
    found = mitigation_of(run.mitigation)
    named = [
        f"{name} {value:g}" if isinstance(value, float | int) else f"{name} {value}"
        for name, value in found.values().items()
    ]
    return f"{found.title}{found.whom}" + (f" ({', '.join(named)})" if named else "")


def _is_sibling(one: Run, other: Run) -> bool:
    return all(getattr(one.facts, name) == getattr(other.facts, name) for name in SAME)


def plain_of(run: Run) -> Run | None:
    """Return the plain run that a mitigated one is to be compared with.

    It has the same data, model, recipe, seed and start; the newest. A plain run is its own; None
    where there is no such run.
    """
    if run.is_plain:
        return run
    siblings = [
        other
        for other in list_runs(run.dataset, run.model)
        if other.is_plain and _is_sibling(run, other)
    ]
    return siblings[0] if siblings else None


def mitigated_runs(plain: Run) -> list[Run]:
    """Return the runs that differ from a plain one in their mitigation only.

    They are in the order of the registered mitigations, the strongest first.
    """
    kinds = list(MITIGATIONS)

    def rank(run: Run) -> tuple[int, str, str, float, str]:
        found = mitigation_of(run.mitigation or {})
        by, group = found.protects
        strength = float(getattr(found, found.strength) or 0)
        return kinds.index(found.kind), by or "", group or "", -strength, run.name

    runs = list_runs(plain.dataset, plain.model)
    known = [run for run in runs if run.mitigation and run.mitigation["kind"] in MITIGATIONS]
    return sorted((run for run in known if _is_sibling(plain, run)), key=rank)


def trade_off(
    runs: Sequence[Run],
    by: str,
    group: str,
    method: str,
    epoch: int,
    *,
    tau: float = 0.5,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[pd.DataFrame, list[Run]]:
    """Measure what is stored of several runs at one epoch: a group's bias beside the accuracy.

    Parameters
    ----------
    runs
        The plain run and `mitigated_runs`; those without that epoch are left out.
    method
        As `rbcore.distances.stored.stored_distances`.
    tau
        Budget of RB(P, tau), L2, the same for all runs, whatever tau they were trained at.

    Returns
    -------
    table
        One row a run: ``run``, ``kind`` (`kind_of`), ``setting``, ``alpha`` and
        ``trained_tau`` (of a fairness term), ``family`` (all settings but alpha); ``n``,
        ``n_group``; ``sigma``, ``low``, ``high``; ``size`` (its absolute value), ``size_low``,
        ``size_high``; ``rb`` at ``tau``, ``rb_low``, ``rb_high``; ``accuracy`` of all images,
        ``accuracy_low``, ``accuracy_high``; ``auc_group``, ``auc_rest`` (L2). Intervals are over
        test images, each run's own, so two that overlap may still differ: `compare` says so.
    missing
        The runs without stored distances.
    """
    rows, missing = [], []
    for run in runs:
        if epoch not in run.epochs:
            continue
        stored = stored_distances(run, epoch, method)
        if stored is None:
            missing.append(run)
        else:
            rows.append({**_facts_of(run), **_cost(stored.rows, by, group, tau, policy)})
    return pd.DataFrame(rows), missing


def _facts_of(run: Run) -> dict[str, object]:
    settings = run.mitigation or {}
    return {
        "run": run.name,
        "kind": kind_of(run),
        "setting": setting_of(run),
        "alpha": settings.get("alpha"),
        "trained_tau": settings.get("tau"),
        "family": ", ".join(
            f"{name} {value}" for name, value in sorted(settings.items()) if name != "alpha"
        ),
    }


def _cost(rows: pd.DataFrame, by: str, group: str, tau: float, policy: Policy) -> dict[str, object]:
    grouped = split_groups(rows, by, policy)
    index = grouped.index(group)
    intervals = bootstrap_intervals(grouped)
    ends = (sigma_bias(grouped), intervals.sigma_low, intervals.sigma_high)
    sigma, low, high = (float(values[index]) for values in ends)
    taus = np.array([tau])
    rb_low, rb_high = rb_interval(grouped, taus)
    sides = split_groups(with_sides(rows, by, group), SIDE, policy)
    areas = dict(zip(sides.groups, areas_under_curves(sides), strict=True))
    fair = proportional(rows)
    n, n_correct = len(fair), int(is_correct(fair, policy).sum())
    accuracy_low, accuracy_high = binomial_interval(np.array([n_correct]), n)
    return {
        "n": n,
        "n_group": int(grouped.n[index]),
        "sigma": sigma,
        "low": low,
        "high": high,
        "size": abs(sigma),
        "size_low": 0.0 if low <= 0 <= high else min(abs(low), abs(high)),
        "size_high": max(abs(low), abs(high)),
        "rb": float(robustness_bias_at(grouped, taus)[index, 0]),
        "rb_low": float(rb_low[index, 0]),
        "rb_high": float(rb_high[index, 0]),
        "accuracy": n_correct / n,
        "accuracy_low": float(accuracy_low[0]),
        "accuracy_high": float(accuracy_high[0]),
        "auc_group": float(areas[group]),
        "auc_rest": float(areas[REST]),
    }
