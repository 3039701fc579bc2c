"""Does the answer depend on the reading of the definition: all of them, and the signs that flip."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.measures import CHOICES, DEFAULT_POLICY, Policy, sigma_bias, split_groups

TAU_MAXES = (None, 2.0, 1.0)
"""No limit of tau, and the two limits of the grids in the paper's released code (L2)."""


def sigma_by_definition(
    distances: pd.DataFrame, by: str, *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """Measure sigma of every group under every reading of the definition.

    That is misclassified x rest x upper limit of tau (the policy's, and `TAU_MAXES`); all else
    is as in the policy.

    Returns
    -------
    pandas.DataFrame
        One row a definition and group: ``misclassified``, ``rest``, ``tau_max`` (NaN: none),
        ``group``, ``sigma``, and ``is_flipped``, whether its sign differs from that under the
        policy. sigma is NaN under ``exclude`` for all groups where one has no correct
        sample, and wherever the rest has area 0; NaN is never a flip.

    Raises
    ------
    MeasureError, UnknownNameError
        As `rbcore.measures.split_groups` under the policy; and if the partition
        has one group only.
    """
    grouped = split_groups(distances, by, policy)
    chosen = sigma_bias(grouped)
    has_correct = bool((grouped.n_correct - grouped.n_failed > 0).all())
    tables = []
    for misclassified, rest, tau_max in product(
        CHOICES["misclassified"], CHOICES["rest"], dict.fromkeys((policy.tau_max, *TAU_MAXES))
    ):
        reading = replace(policy, misclassified=misclassified, rest=rest, tau_max=tau_max)
        is_defined = misclassified == "zero" or has_correct
        sigma = (
            sigma_bias(split_groups(distances, by, reading))
            if is_defined
            else np.full(len(chosen), np.nan)
        )
        facts = {
            "misclassified": misclassified,
            "rest": rest,
            "tau_max": np.nan if tau_max is None else tau_max,
        }
        flipped = np.sign(sigma) * np.sign(chosen) < 0
        tables.append(
            pd.DataFrame({**facts, "group": grouped.groups, "sigma": sigma, "is_flipped": flipped})
        )
    return pd.concat(tables, ignore_index=True)


def sign_flips(table: pd.DataFrame) -> pd.DataFrame:
    """Count for every group of `sigma_by_definition` the definitions under which its sign flips.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``; ``n_definitions`` with a sigma; ``n_flipped`` of them;
        ``n_flipped_but_sum``, those without ``rest="sum"``, which alone makes almost every sigma
        negative as soon as there are three groups.
    """
    if table.empty:
        raise MeasureError("The table has no rows; compute sigma by at least one definition.")
    counts = table.assign(
        is_known=table["sigma"].notna(), but_sum=table["is_flipped"] & (table["rest"] != "sum")
    )
    grouped = counts.groupby("group", sort=False)[["is_known", "is_flipped", "but_sum"]].sum()
    names = {"is_known": "n_definitions", "is_flipped": "n_flipped", "but_sum": "n_flipped_but_sum"}
    return grouped.rename(columns=names).reset_index()
