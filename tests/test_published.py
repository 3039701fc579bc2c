"""The measures against distances that others measured and published (UG100): L-infinity, three CIFAR-10 models."""

import json

import numpy as np
import pandas as pd
import pytest

from rbcore.inference import robustness_bias


def published(folder, model, estimate):
    """The published L-infinity distances of one model as a table; every sample is classified correctly there."""
    labels = json.loads((folder / "cifar10-test-labels.json").read_text())
    exact = json.loads((folder / f"mip-cifar10-{model}-standard.json").read_text())
    attacks = json.loads((folder / f"strong-cifar10-{model}-standard.json").read_text())
    n_left_out, rows = 0, []
    for sample, bounds in exact.items():
        deepfool = attacks.get(sample, {}).get("deepfool")
        if bounds["lower"] is None or bounds["upper"] is None or deepfool is None:
            n_left_out += 1
            continue
        middle = (bounds["lower"] + bounds["upper"]) / 2
        rows.append((sample, labels[int(sample)], deepfool if estimate == "deepfool" else middle))
    table = pd.DataFrame(rows, columns=["sample_id", "label", "distance"])
    return table.assign(is_correct=True, status="found", **{"class": table["label"].astype(str)}), n_left_out


@pytest.mark.parametrize("model", ["a", "b", "c"])
def test_deepfool_and_exact_distances_agree_on_the_sign_of_every_class(shared_data, model):
    folder = shared_data / "ug100"
    exact, n_left_out = published(folder, model, "exact")
    attack, _ = published(folder, model, "deepfool")
    assert len(exact) > 1000 and n_left_out < 0.6 * (len(exact) + n_left_out)
    assert (attack["distance"] >= exact["distance"] * 0.9).mean() > 0.99  # an attack is an upper bound
    signs = [np.sign(robustness_bias(table, "class")["sigma"]) for table in (exact, attack)]
    assert len(signs[0]) == 10
    assert (signs[0] == signs[1]).all()
