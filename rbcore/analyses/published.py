"""Distances that others published, as tables of this library: they check the measures from outside.

UG100 (Marro and Lombardi, 2023): minimal L-infinity distances of CIFAR-10 test images for
three small networks, bounded from both sides by mixed-integer programming and
found by seven attacks. A bound of the programming is not the distance itself, and is not called so.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore.datasets import DATASETS
from rbcore.datasets.reading.opening import user_path
from rbcore.errors import DatasetError
from rbcore.measures.tables import Bound, Status
from rbcore.norms import Norm
from rbcore.registry import unknown_name

UG100_VARIABLE = "RBCORE_UG100_ROOT"
UG100_MODELS = ("a", "b", "c")
UG100_ATTACKS = ("deepfool", "carlini", "pgd", "bim", "brendel", "fast_gradient", "uniform")
LOWER, UPPER = "lower", "upper"


def ug100_folder() -> Path | None:
    """Return the folder that the environment variable ``RBCORE_UG100_ROOT`` names, or None."""
    folder = os.environ.get(UG100_VARIABLE)
    return user_path(folder) if folder else None


def ug100_table(folder: Path, model: str, estimate: str) -> tuple[pd.DataFrame, int]:
    """Read the published distances of one network.

    Of images that have bounds from both sides and DeepFool's distance.

    Parameters
    ----------
    folder
        Holds ``mip-cifar10-{model}-standard.json``, ``strong-cifar10-{model}-standard.json``,
        ``cifar10-test-labels.json``.
    model
        One of `UG100_MODELS`.
    estimate
        ``lower`` or ``upper``, the bounds by mixed-integer programming, or one of
        `UG100_ATTACKS`.

    Returns
    -------
    table
        ``sample_id``, ``label``, ``class``, ``is_correct`` (all are), ``distance``, ``norm``
        (L-infinity), ``bound`` and ``status``: ``exact`` where lower and upper bound are one
        number, else ``certified`` for the lower and ``found`` for the upper one and for attacks. A
        sample without this estimate is ``failed`` with NaN.
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
        ("estimate", estimate, (LOWER, UPPER, *UG100_ATTACKS)),
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
        if bounds[LOWER] is None or bounds[UPPER] is None or found.get("deepfool") is None:
            n_left_out += 1
            continue
        distance = found.get(estimate) if estimate in UG100_ATTACKS else bounds[estimate]
        is_exact = estimate not in UG100_ATTACKS and bounds[LOWER] == bounds[UPPER]
        rows.append(_row(sample, labels[int(sample)], distance, estimate, is_exact=is_exact))
    table = pd.DataFrame(rows)
    named = [classes[label] for label in table["label"]]
    return table.assign(is_correct=True, norm=Norm.LINF.value, **{"class": named}), n_left_out


def _row(
    sample: str, label: int, distance: float | None, estimate: str, *, is_exact: bool
) -> dict[str, object]:
    bound = Bound.LOWER if estimate == LOWER else Bound.UPPER
    status = Status.CERTIFIED if estimate == LOWER else Status.FOUND
    if is_exact:
        bound, status = Bound.EXACT, Status.EXACT
    return {
        "sample_id": sample,
        "label": label,
        "distance": np.nan if distance is None else float(distance),
        "bound": bound.value,
        "status": Status.FAILED.value if distance is None else status.value,
    }
