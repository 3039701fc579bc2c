"""Distances that others measured and published, as tables of this library: they check the measures from outside.

UG100 (Marro and Lombardi, 2023): minimal L-infinity distances of CIFAR-10 test images for
three small networks, bounded from both sides by mixed-integer programming ("exact") and
found by seven attacks.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore.datasets import DATASETS
from rbcore.datasets.opening import user_path
from rbcore.errors import DatasetError
from rbcore.registry import unknown_name

UG100_VARIABLE = "RBCORE_UG100_ROOT"
UG100_MODELS = ("a", "b", "c")
UG100_ATTACKS = ("deepfool", "carlini", "pgd", "bim", "brendel", "fast_gradient", "uniform")
EXACT = "exact"


def ug100_folder() -> Path | None:
    """Return the folder of UG100's files from the environment variable ``RBCORE_UG100_ROOT``, or None."""
    folder = os.environ.get(UG100_VARIABLE)
    return user_path(folder) if folder else None


def ug100_table(folder: Path, model: str, estimate: str) -> tuple[pd.DataFrame, int]:
    """Read the published distances of one network: those of images that have bounds from both sides and DeepFool's distance.

    Parameters
    ----------
    folder
        Holds ``mip-cifar10-{model}-standard.json``, ``strong-cifar10-{model}-standard.json``,
        ``cifar10-test-labels.json``.
    model
        One of `UG100_MODELS`.
    estimate
        ``exact``, the middle between lower and upper bound, or one of `UG100_ATTACKS`.

    Returns
    -------
    table
        ``sample_id``, ``label``, ``class``, ``is_correct`` (all are), ``distance`` (L-infinity),
        ``status``; a sample without this estimate is ``failed`` with NaN.
    n_left_out
        Images without bounds from both sides, or without DeepFool's distance.

    Raises
    ------
    UnknownNameError
        If there is no such network or estimate.
    DatasetError
        If a file cannot be read.
    """
    for what, name, known in (
        ("network of UG100", model, UG100_MODELS),
        ("estimate", estimate, (EXACT, *UG100_ATTACKS)),
    ):
        if name not in known:
            raise unknown_name(what, name, list(known))
    try:
        labels = json.loads((folder / "cifar10-test-labels.json").read_text(encoding="utf-8"))
        exact = json.loads(
            (folder / f"mip-cifar10-{model}-standard.json").read_text(encoding="utf-8")
        )
        attacks = json.loads(
            (folder / f"strong-cifar10-{model}-standard.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"Cannot read UG100 in {folder}: {error}. Name the folder of its JSON files."
        ) from error
    classes, n_left_out, rows = DATASETS["cifar10"].classes, 0, []
    for sample, bounds in exact.items():
        found = attacks.get(sample, {})
        if bounds["lower"] is None or bounds["upper"] is None or found.get("deepfool") is None:
            n_left_out += 1
            continue
        distance = (
            (bounds["lower"] + bounds["upper"]) / 2 if estimate == EXACT else found.get(estimate)
        )
        rows.append((sample, labels[int(sample)], np.nan if distance is None else float(distance)))
    table = pd.DataFrame(rows, columns=["sample_id", "label", "distance"])
    status = np.where(table["distance"].isna(), "failed", EXACT if estimate == EXACT else "found")
    named = [classes[label] for label in table["label"]]
    return table.assign(is_correct=True, status=status, **{"class": named}), n_left_out
