"""Check the cache: every table against its key and checksum, a few rows by recomputing."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore import store
from rbcore.datasets import Dataset
from rbcore.distances import METHODS, format_method
from rbcore.distances.perturbed import perturbed_images
from rbcore.errors import Cancelled, RobustnessBiasError
from rbcore.runs.checkpoints import Run
from rbcore.runs.loading import load_model, open_run
from rbcore.runtime import Progress, no_progress

TOLERANCE = (1e-4, 1e-6)
"""Relative and absolute difference that counts as the same distance: other batches
use other kernels.
"""


MOST_OPEN = 4
"""Datasets kept in memory while tables are recomputed."""

Opener = Callable[..., tuple[Dataset, Run]]
"""`open_run`, or something that remembers what it opened."""


def verify(*, rows: int = 5, seed: int = 0, progress: Progress = no_progress) -> pd.DataFrame:
    """Check every cached table of distances.

    Parameters
    ----------
    rows
        How many rows of each table to compute again.
    seed
        Chooses them.

    Returns
    -------
    pandas.DataFrame
        One row a file: ``file``, ``ok``, ``n`` rows, ``recomputed`` rows, ``largest_difference``
        (relative), ``finding``.

    Examples
    --------
    >>> import rbcore as rb
    >>> found = rb.verify(rows=0)  # keys and checksums alone
    >>> bool(found["ok"].all())
    True
    """
    files = list(store.table_files())
    findings = []
    opened = lru_cache(MOST_OPEN)(
        open_run
    )  # many tables are of one dataset, which takes seconds to load
    for done, path in enumerate(files):
        progress(done, len(files), "verifying tables")
        findings.append(
            {"file": str(path), **_verify_file(path, rows, np.random.default_rng(seed), opened)}
        )
    progress(len(files), len(files), "verifying tables")
    return pd.DataFrame(
        findings, columns=["file", "ok", "n", "recomputed", "largest_difference", "finding"]
    )


def _verify_file(
    path: Path, rows: int, random: np.random.Generator, opened: Opener
) -> dict[str, object]:
    nothing = {"ok": False, "n": 0, "recomputed": 0, "largest_difference": np.nan}
    try:
        stored = store.read_table_file(path)
    except RobustnessBiasError as error:
        return {**nothing, "finding": str(error)}
    facts = {**nothing, "n": len(stored.rows)}
    if rows == 0:
        return {
            **facts,
            "ok": True,
            "finding": "key and checksum hold; no rows were to be recomputed",
        }
    chosen = stored.rows.iloc[np.sort(random.permutation(len(stored.rows))[:rows])].reset_index(
        drop=True
    )
    try:
        again = _recompute(stored, list(chosen["sample_id"]), opened)
    except Cancelled:
        raise
    except RobustnessBiasError as error:
        return {**facts, "ok": True, "finding": f"key and checksum hold; not recomputed: {error}"}
    difference = largest_difference(chosen, again)
    same = (chosen["status"] == again["status"]).all() and (
        chosen["prediction"] == again["prediction"]
    ).all()
    facts |= {"recomputed": len(again), "largest_difference": difference}
    if not same or difference > TOLERANCE[0]:
        return {**facts, "finding": "recomputed rows differ; delete it and estimate again"}
    return {**facts, "ok": True, "finding": "key, checksum and recomputed rows hold"}


def _recompute(stored: store.MethodTable, sample_ids: list[str], opened: Opener) -> pd.DataFrame:
    names, key = stored.provenance, stored.key
    dataset, run = opened(names.dataset, names.model, run=names.run)
    model = load_model(names.model, dataset, epoch=names.epoch, run=run.name, device="cpu")
    if (model.weights_sha256, dataset.fingerprint) != (key.weights, key.dataset):
        raise RobustnessBiasError("the run of that name now has other weights or data")
    method = format_method(METHODS[key.method], key.parameters)
    return perturbed_images(model, dataset, method, sample_ids, split=key.split).table


def largest_difference(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the largest relative difference of two tables' distances; 0 for both NaN.

    Beyond the absolute tolerance.
    """
    a, b = one["distance"].to_numpy(), other["distance"].to_numpy()
    gaps = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b))
    excess = np.maximum(np.nan_to_num(gaps, nan=np.inf) - TOLERANCE[1], 0.0)
    return float((excess / np.maximum(np.nan_to_num(a), TOLERANCE[1])).max()) if len(a) else 0.0
