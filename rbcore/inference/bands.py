"""Bands on I_P(tau): how far the curve may lie from that of all such images."""

import numpy as np
import pandas as pd

from rbcore import norms
from rbcore.inference.intervals import Ends
from rbcore.inference.proportions import binomial_interval, rb_interval
from rbcore.inference.resampling import CONFIDENCE, checked_confidence
from rbcore.measures import (
    DEFAULT_POLICY,
    Policy,
    proportion_beyond,
    robustness_bias_at,
    split_groups,
)
from rbcore.registry import unknown_name

BANDS = ("pointwise", "simultaneous")


def curves(
    distances: pd.DataFrame,
    by: str,
    *,
    taus: np.ndarray,
    policy: Policy = DEFAULT_POLICY,
    confidence: float = CONFIDENCE,
    band: str = "pointwise",
) -> pd.DataFrame:
    """Return I_P(tau) of every group with a band, and RB(P, tau) with an interval.

    Parameters
    ----------
    distances, by, policy
        As `robustness_bias`.
    taus
        L2, shape (n_taus,).
    band
        ``pointwise``: Clopper-Pearson, holds at any one tau; ``simultaneous``: `dkw_band`, holds at
        all tau at once. Either holds for one group, not for all groups together.

    Returns
    -------
    pandas.DataFrame
        One row a group and tau: ``group``, ``n`` (samples that count), ``tau`` (L2), ``share``
        (I_P), ``low``, ``high``; ``rb``, RB(P, tau) (eq. 2), and its interval ``rb_low``,
        ``rb_high`` (pointwise, see `rb_interval`). Its ``attrs`` hold the norm.

    Raises
    ------
    MeasureError, UnknownNameError
        As `rbcore.measures.split_groups`; and if there is no such band.
    """
    if band not in BANDS:
        raise unknown_name("band", band, list(BANDS))
    grouped = split_groups(distances, by, policy)
    rb = robustness_bias_at(grouped, taus)
    rb_low, rb_high = rb_interval(grouped, taus, confidence)
    tables = []
    for index, (group, values) in enumerate(zip(grouped.groups, grouped.values, strict=True)):
        share = proportion_beyond(values, taus)
        if band == "simultaneous":
            low, high = dkw_band(share, len(values), confidence)
        else:
            low, high = binomial_interval(np.rint(share * len(values)), len(values), confidence)
        facts = {
            "group": group,
            "n": len(values),
            "tau": taus,
            "share": share,
            "low": low,
            "high": high,
        }
        tables.append(
            pd.DataFrame(
                {**facts, "rb": rb[index], "rb_low": rb_low[index], "rb_high": rb_high[index]}
            )
        )
    joined = pd.concat(tables, ignore_index=True)
    joined.attrs[norms.COLUMN] = norms.norm_of(distances).value
    return joined


def dkw_band(share: np.ndarray, n: int, confidence: float = CONFIDENCE) -> Ends:
    """Return the band of Dvoretzky, Kiefer and Wolfowitz around I_P, each end in [0, 1].

    Each has the shape of ``share``.

    With Massart's constant (1990) it covers the whole true curve with at least the given
    confidence, for any distribution of distances and any n: the half width is sqrt(log(2 / (1 -
    confidence)) / (2 n)).
    """
    half = np.sqrt(np.log(2 / (1 - checked_confidence(confidence))) / (2 * n))
    return np.maximum(share - half, 0.0), np.minimum(share + half, 1.0)
