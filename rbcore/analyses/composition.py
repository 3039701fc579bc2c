"""Sigma by one attribute, raw and at a common mix of another: by race at one mix of ages, for instance."""

from collections.abc import Sequence

import pandas as pd

from rbcore.errors import MeasureError
from rbcore.inference import robustness_bias, standardised_bias
from rbcore.measures import DEFAULT_POLICY, Policy


def raw_and_standardised(
    distances: pd.DataFrame, by: str, within: Sequence[str], *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """Measure sigma of every group as it is, and re-weighted to a common mix.

    Parameters
    ----------
    distances, by, policy
        As `rbcore.inference.robustness_bias`.
    within
        Partitions whose mix is made equal, the finest first: each group takes the first whose cells are large enough for it.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``, ``n``, ``sigma``, ``low``, ``high`` (raw), ``within`` (empty where none serves),
        ``n_effective``, ``smallest_cell``, ``standardised``, ``standardised_low``, ``standardised_high``, and ``refused``, why
        the finest partition does not serve (empty where it does).
    """
    raw = robustness_bias(distances, by, policy=policy)
    rows = []
    for _, of_group in raw.iterrows():
        row = {name: of_group[name] for name in ("group", "n", "sigma", "low", "high")}
        row |= {"within": "", "refused": ""}
        for partition in within:
            try:
                found = standardised_bias(distances, by, partition, groups=[of_group["group"]], policy=policy).iloc[0]
            except MeasureError as error:
                row["refused"] = row["refused"] or str(error)
                continue
            row |= {
                "within": partition,
                "n_effective": found["n_effective"],
                "smallest_cell": found["smallest_cell"],
                "standardised": found["sigma"],
                "standardised_low": found["low"],
                "standardised_high": found["high"],
            }
            break
        rows.append(row)
    columns = ["group", "n", "sigma", "low", "high", "within", "n_effective", "smallest_cell"]
    return pd.DataFrame(rows, columns=[*columns, "standardised", "standardised_low", "standardised_high", "refused"])
