"""What `benchmarks.mitigation` chooses and measures, on tables made by hand and
once on real runs.
"""

import pandas as pd
import pytest

from benchmarks.mitigation import (
    PLAIN,
    STANDARD,
    Seed,
    Study,
    group_assignment,
    main,
    mean_and_interval,
    signed,
)
from rbcore.datasets import DatasetRequest
from rbcore.distances.estimate import estimate_distances
from rbcore.inference import robustness_bias


def table(distances, accuracy=1.0):
    """Ten images of group a at one distance and ten of b at another; the last ones of
    both misclassified.
    """
    n_wrong = round(10 * (1 - accuracy))
    rows = []
    for group, distance in zip("ab", distances, strict=True):
        for k in range(10):
            is_correct = k < 10 - n_wrong
            status = "found" if is_correct else "misclassified"
            rows.append(
                (
                    f"{group}{k}",
                    0,
                    0 if is_correct else 1,
                    is_correct,
                    distance if is_correct else float("nan"),
                    status,
                    group,
                )
            )
    names = ["sample_id", "label", "prediction", "is_correct", "distance", "status", "side"]
    return pd.DataFrame(rows, columns=names).assign(bound="upper")


def test_sides_are_those_of_the_measures():
    rows = table((1.0, 2.0), accuracy=0.8)
    sides = group_assignment(rows, "side", "a")
    assert (sides.auc, sides.rest_auc) == pytest.approx((0.8, 1.6)) and sides.n == 10
    assert (sides.accuracy, sides.rest_accuracy, sides.total_accuracy) == pytest.approx(
        (0.8, 0.8, 0.8)
    )
    assert sides.sigma == pytest.approx(
        robustness_bias(rows, "side").set_index("group").loc["a", "sigma"]
    )


def test_a_network_that_is_right_on_nobody_of_the_rest_has_no_sigma():
    rows = table((1.0, 2.0))
    is_rest = rows["side"] == "b"
    rows.loc[is_rest, ["prediction", "is_correct", "distance", "status"]] = [
        1,
        False,
        float("nan"),
        "misclassified",
    ]
    assert (
        signed(group_assignment(rows, "side", "a").sigma) == "undefined"
        and signed(-0.1234) == "-0.123"
    )


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (
            {"alpha 1, tau 0.5": table((1, 1.6)), "alpha 3, tau 0.5": table((1, 1.2))},
            "alpha 3, tau 0.5",
        ),
        (
            {"alpha 1, tau 0.5": table((1, 1.6)), "alpha 3, tau 0.5": table((1, 1.0), 0.9)},
            "alpha 1, tau 0.5",
        ),
        (
            {"alpha 1, tau 0.5": table((1, 1.0), 0.9), "alpha 3, tau 0.5": table((1, 1.0), 0.8)},
            PLAIN,
        ),
    ],
    ids=["the smallest sigma", "too dear a setting is left out", "plain where all are too dear"],
)
def test_the_validation_split_chooses(tables, expected):
    study = Study("side", "a", alphas="1,3", epsilons="", shares="")
    assert list(study.settings["regularizer"]) == list(tables)
    assert list(study.settings) == ["regularizer"]
    seed = Seed(study, DatasetRequest("none"))
    seed.tables = {
        (label, "validation"): rows for label, rows in {PLAIN: table((1, 2)), **tables}.items()
    }
    assert seed.chosen("regularizer") == expected


def test_an_interval_over_seeds_is_students():
    assert (
        mean_and_interval([1.0, 2.0, 3.0], "{:.3f}") == "2.000 [-0.484, 4.484]"
    )  # 4.303 * 1 / sqrt(3)
    assert mean_and_interval([1.0], "{:.1f}") == "1.0"


@pytest.mark.slow
def test_the_test_split_is_measured_for_plain_and_chosen_only(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.results.FOLDER", tmp_path)
    asked = []
    estimate = estimate_distances

    def look(model, dataset, method, **options):
        asked.append((model.facts.run, method, options["split"]))
        return estimate(model, dataset, method, **options, limit=150)

    monkeypatch.setattr("rbcore.estimate_distances", look)
    grids = {"alphas": "0.1", "epsilons": "0.1", "shares": ""}
    study = Study("class", "8", "logistic_regression", epochs=1, device="cpu", **grids)
    data = DatasetRequest("digits")
    main(data, study, until="validate", only_seed=1)
    assert capsys.readouterr().out == "" and {split for _, _, split in asked} == {"validation"}
    main(data, study, seeds=2, also=["class=3"])
    printed = capsys.readouterr().out
    assert (
        printed.count("| sigma of class=8 |") == 2
        and printed.count("| sigma of class=3 (n = ") == 2
    )
    for seed in (0, 1):
        on_test = [
            run
            for run, method, split in asked
            if split == "test" and f"seed{seed}" in run and method == STANDARD
        ]
        assert 1 <= len(set(on_test)) <= 3 and f"modern-8px-1ep-seed{seed}-val0.2" in on_test
    assert not any(split == "test" and method != STANDARD for _, method, split in asked)
