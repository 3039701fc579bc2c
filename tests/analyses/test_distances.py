"""Medians, budgets, composition, pre-training and published distances: numbers worked
out another way.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rbcore as rb
from rbcore import analyses
from rbcore.errors import DatasetError, MeasureError, UnknownNameError
from rbcore.inference import compare_bias
from rbcore.measures import Policy
from tests.inference.samples import joined
from tests.records import content_of, write_sealed


def table(distance, group, is_correct=None, status="found", **columns):
    found = pd.DataFrame({"distance": distance, "group": list(group), "status": status, **columns})
    found["is_correct"] = True if is_correct is None else is_correct
    return found.assign(sample_id=[f"s{i}" for i in range(len(found))], label=0)


def test_median_and_its_interval_from_order_statistics():
    values = np.random.default_rng(0).exponential(size=100)
    found = analyses.median_distance(table(values, "x" * 100))
    assert found.median == np.sort(values)[49:51].mean() and found.n == 100
    # the widest pair of order statistics that 95% asks for: ranks 40 and 61 of 100, by the
    # binomial distribution
    rank = int(stats.binom.ppf(0.025, 100, 0.5))
    assert rank == 40
    assert found.low == np.sort(values)[rank - 1] and found.high == np.sort(values)[100 - rank]
    expected = stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], expected)
    few = analyses.median_distance(table(values[:4], "xxxx"))
    assert few.n == 4 and np.isnan(few.low) and np.isnan(few.high)


def test_misclassified_images_count_as_the_policy_says():
    rows = table([1.0, 2.0, np.nan, np.nan, np.nan], "xxxxx", [True, True, False, False, False])
    assert analyses.median_distance(rows).median == 0
    excluded = analyses.median_distance(rows, policy=Policy(misclassified="exclude"))
    assert (excluded.median, excluded.n) == (1.5, 2)
    with pytest.raises(MeasureError, match="median distance is not defined"):
        analyses.median_distance(rows.iloc[2:], policy=Policy(misclassified="exclude"))


def test_shipped_exact_distances_have_a_median():
    stored = rb.stored_distances(
        rb.list_runs("digits", "logistic_regression")[0], "last", "exact"
    ).rows
    found = analyses.median_distance(stored, policy=Policy(misclassified="exclude"))
    assert found.median == stored["distance"].median() and found.low < found.median < found.high


def test_fooled_or_not_at_one_budget():
    rows = table([0.2, 0.5, 0.6, np.nan, 0.1], "xxxxy", [True, True, True, False, True])
    found = analyses.fooled_at(rows, "group").set_index("group")
    assert found.loc["x", ["n", "n_correct", "n_fooled"]].tolist() == [
        4,
        3,
        2,
    ]  # 0.5 itself is within the budget
    assert found.loc["x", "share"] == pytest.approx(2 / 3) and found.loc["x", "robust"] == 1 / 4
    exact = stats.binomtest(2, 3).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose(
        found.loc["x", ["low", "high"]].astype(float), [exact.low, exact.high]
    )
    none = (
        analyses.fooled_at(rows.assign(is_correct=[True] * 3 + [False] * 2), "group")
        .set_index("group")
        .loc["y"]
    )
    assert none["n_correct"] == 0 and np.isnan(none["share"])
    with pytest.raises(MeasureError, match="budget=0"):
        analyses.fooled_at(rows, "group", budget=0)


def test_standardizing_takes_the_finest_mix_that_serves():
    # in both ages, a lies as far as b; but a is mostly young, and the young lie far
    young, old = [4.0] * 30, [1.0] * 10
    rows = table(
        young + old + young[:10] + old * 3,
        "a" * 40 + "b" * 40,
        age=[10] * 30 + [50] * 10 + [10] * 10 + [50] * 30,
    )
    fine = "age:5,30,60"  # the same two bins: empty ones do not count
    found = analyses.raw_and_standardized(rows, "group", [fine]).set_index("group")
    assert found.loc["a", "sigma"] == pytest.approx(130 / 70 - 1)
    assert found.loc["a", "standardized"] == pytest.approx(0) and found.loc["a", "within"] == fine
    lonely = joined(rows, table([1.0], "a", age=[90]))
    found = analyses.raw_and_standardized(lonely, "group", [fine, "age:30"]).set_index("group")
    assert found.loc["a", "within"] == "age:30" and "60+" in found.loc["a", "refused"]
    found = analyses.raw_and_standardized(lonely, "group", [fine]).set_index("group")
    assert found.loc["a", "within"] == "" and np.isnan(found.loc["a", "standardized"])


def test_pretraining_pairs_runs_of_one_model(cache):
    """A stand-in: the shipped run's epoch 6 as if it were another, pre-trained run's last epoch."""
    run = rb.list_runs("digits", "small_cnn")[0]
    assert analyses.pretraining_pairs("digits") == []
    folder = cache / "runs" / "digits" / "small_cnn" / "pretrained"
    folder.mkdir(parents=True)
    facts = content_of(run.folder / "epoch-0006.json")
    facts |= {"run": "pretrained", "weights": "imagenet", "epoch": 1, "n_epochs": 1}
    write_sealed(folder / "epoch-0001.json", facts)
    shutil.copy(run.folder / "epoch-0006.safetensors", folder / "epoch-0001.safetensors")
    ((scratch, pretrained),) = analyses.pretraining_pairs("digits")
    assert (scratch.name, pretrained.name) == (run.name, "pretrained")
    found = analyses.compare_pretraining(scratch, pretrained, "deepfool", "class")
    stored = [rb.stored_distances(run, epoch, "deepfool").rows for epoch in (12, 6)]
    pd.testing.assert_frame_equal(found, compare_bias(*stored, "class"))
    assert analyses.compare_pretraining(scratch, pretrained, "ddn", "class") is None


def test_ug100_is_read_from_its_files(tmp_path):
    (tmp_path / "cifar10-test-labels.json").write_text("[3, 8, 8, 1]")
    bounds = {
        "0": {"lower": 1.0, "upper": 2.0},
        "1": {"lower": None, "upper": 1.0},
        "2": {"lower": 1.0, "upper": 1.0},
        "3": {"lower": 1.5, "upper": 1.5},
    }
    (tmp_path / "mip-cifar10-a-standard.json").write_text(json.dumps(bounds))
    attacks = {
        "0": {"deepfool": 1.7, "carlini": None},
        "1": {"deepfool": 1.0},
        "2": {"deepfool": None},
        "3": {"deepfool": 1.5, "carlini": 1.6},
    }
    (tmp_path / "strong-cifar10-a-standard.json").write_text(json.dumps(attacks))
    columns = ["sample_id", "class", "distance", "norm", "bound", "status"]
    lower, n_left_out = analyses.ug100_table(tmp_path, "a", "lower")
    assert n_left_out == 2
    assert lower[columns].to_numpy().tolist() == [
        ["0", "cat", 1.0, "linf", "lower", "certified"],
        ["3", "automobile", 1.5, "linf", "exact", "exact"],
    ]
    upper, _ = analyses.ug100_table(tmp_path, "a", "upper")
    assert upper[columns].to_numpy().tolist() == [
        ["0", "cat", 2.0, "linf", "upper", "found"],
        ["3", "automobile", 1.5, "linf", "exact", "exact"],
    ]
    carlini, _ = analyses.ug100_table(tmp_path, "a", "carlini")
    assert carlini["status"].tolist() == ["failed", "found"]
    assert carlini["bound"].tolist() == ["upper", "upper"]
    with pytest.raises(UnknownNameError, match="network of UG100"):
        analyses.ug100_table(tmp_path, "d", "lower")
    with pytest.raises(UnknownNameError, match="estimate"):
        analyses.ug100_table(tmp_path, "a", "cw")
    with pytest.raises(DatasetError, match="Cannot read UG100"):
        analyses.ug100_table(tmp_path, "b", "lower")


def test_ug100_folder_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("RBCORE_UG100_ROOT", raising=False)
    assert analyses.ug100_folder() is None
    monkeypatch.setenv("RBCORE_UG100_ROOT", str(tmp_path))
    assert analyses.ug100_folder() == tmp_path
