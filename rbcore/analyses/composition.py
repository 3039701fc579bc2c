"""Sigma by one attribute, raw and at a common mix of another: by race at one mix of ages."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.inference import FEWEST, overlap, robustness_bias, standardized_bias
from rbcore.inference.standardization import FEWEST_IN_CELL
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.partitions import group_labels, training_counts
from rbcore.wording import LESS_ROBUST, MORE_ROBUST, NEVER_TRAINED, NO_DIFFERENCE, TOO_FEW

MIX_RULE = "95% interval leaves out 0, at a common mix"
"""What the verdicts of `adjusted_bias` rest on, in words: there is no test of them."""


def raw_and_standardized(
    distances: pd.DataFrame, by: str, within: Sequence[str], *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """Measure sigma of every group as it is, and re-weighted to a common mix.

    Parameters
    ----------
    distances, by, policy
        As `rbcore.inference.robustness_bias`.
    within
        Partitions whose mix is made equal, the finest first: each group takes the first whose cells
        are large enough for it.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``, ``n``, ``sigma``, ``low``, ``high`` (raw), ``within`` (empty
        where none serves), ``n_effective``, ``smallest_cell``, ``standardized``,
        ``standardized_low``, ``standardized_high``, and ``refused``, why the finest partition does
        not serve (empty where it does).
    """
    raw = robustness_bias(distances, by, policy=policy)
    rows = []
    for _, of_group in raw.iterrows():
        row = {name: of_group[name] for name in ("group", "n", "sigma", "low", "high")}
        row |= {"within": "", "refused": ""}
        for partition in within:
            try:
                found = standardized_bias(
                    distances, by, partition, groups=[of_group["group"]], policy=policy
                ).iloc[0]
            except MeasureError as error:
                row["refused"] = row["refused"] or str(error)
                continue
            row |= {
                "within": partition,
                "n_effective": found["n_effective"],
                "smallest_cell": found["smallest_cell"],
                "standardized": found["sigma"],
                "standardized_low": found["low"],
                "standardized_high": found["high"],
            }
            break
        rows.append(row)
    columns = ["group", "n", "sigma", "low", "high", "within", "n_effective", "smallest_cell"]
    return pd.DataFrame(
        rows, columns=[*columns, "standardized", "standardized_low", "standardized_high", "refused"]
    )


def adjusted_bias(
    distances: pd.DataFrame, by: str, within: str, *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """Measure sigma of every group at a common mix of another partition, with its verdict.

    Parameters
    ----------
    distances, by, within, policy
        As `rbcore.inference.standardized_bias`.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``, ``n``, ``n_counted``, ``is_ranked``, ``sigma``, ``low``,
        ``high``, ``n_effective`` and ``verdict``, by `MIX_RULE`. A group with too few images in a
        stratum has no sigma; its verdict is `TOO_FEW`.
    """
    counts = overlap(distances, by, within, policy)
    n, total = counts.to_numpy(np.int64), counts.to_numpy(np.int64).sum(axis=0)
    has_own = n.min(axis=1) >= FEWEST_IN_CELL
    has_rest = (total - n).min(axis=1) >= FEWEST_IN_CELL
    is_served = has_own & has_rest if policy.rest == "pooled" else has_own & bool(has_own.all())
    table = pd.DataFrame({"group": counts.index, "n_counted": n.sum(axis=1)})
    served = list(table.loc[is_served, "group"])
    columns = ["group", "sigma", "low", "high", "n_effective"]
    found = (
        standardized_bias(distances, by, within, groups=served, policy=policy)[columns]
        if served
        else pd.DataFrame(columns=columns, dtype=np.float64)
    )
    table["n"] = group_labels(distances, by).value_counts().reindex(counts.index).to_numpy(int)
    table = table.merge(found, on="group", how="left")
    table["n_train"] = training_counts(distances, by, list(table["group"]))
    table["is_ranked"] = is_served & (table["n_counted"] >= FEWEST) & (table["n_train"] != 0)
    shows = [table["n_train"] == 0, ~table["is_ranked"], table["high"] < 0, table["low"] > 0]
    return table.assign(
        verdict=np.select(shows, [NEVER_TRAINED, TOO_FEW, LESS_ROBUST, MORE_ROBUST], NO_DIFFERENCE)
    )
