import numpy as np
import pandas as pd
import pytest

from rbcore import store
from rbcore.datasets import load_dataset
from rbcore.distances.best import best_table, join_best, note_of, stored_methods, title_of
from rbcore.distances.estimate import estimate_distances
from rbcore.distances.perturbed import perturbed_images
from rbcore.distances.stored import stored_distances
from rbcore.errors import MethodError
from rbcore.runs.checkpoints import find_run
from rbcore.runs.loading import load_model

NAN = np.nan


def table(distances, status=None):
    n = len(distances)
    ids = [f"s{number}" for number in range(n)]
    return pd.DataFrame(
        {"sample_id": ids, "distance": distances, "status": status or ["found"] * n}
    )


def test_each_image_gets_its_smallest_distance_and_the_method_that_gave_it():
    best = join_best(
        {
            "b": table([0.2, 0.5, NAN, 0.4]),
            "a": table([0.3, 0.1, 0.7, NAN]),
            "c": table([NAN, NAN, NAN, NAN]),
        }
    )
    assert list(best["sample_id"]) == ["s0", "s1", "s2", "s3"]
    np.testing.assert_array_equal(best["distance"], [0.2, 0.1, 0.7, 0.4])
    assert list(best["method"]) == ["b", "a", "a", "b"]


def test_what_nobody_found_names_nobody():
    best = join_best({"a": table([NAN], ["failed"]), "b": table([NAN], ["failed"])})
    assert list(best["method"]) == [""] and best["distance"].isna().all()


def test_tables_may_cover_different_images():
    best = join_best({"long": table([0.5, 0.5, 0.5]), "short": table([0.1])})
    assert list(best["distance"]) == [0.1, 0.5, 0.5] and list(best["method"]) == [
        "short",
        "long",
        "long",
    ]


def test_ties_go_to_the_first_name_whatever_the_order():
    one, other = {"x": table([0.3]), "a": table([0.3])}, {"a": table([0.3]), "x": table([0.3])}
    assert list(join_best(one)["method"]) == list(join_best(other)["method"]) == ["a"]


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_the_best_of_the_store(digits):
    model, run = load_model("small_cnn", digits), find_run("digits", "small_cnn")
    shipped = set(stored_distances(run, "last", "best").rows["method"]) - {""}
    minimal = estimate_distances(model, digits, "minimal", limit=30)
    estimate_distances(
        model, digits, "smoothing", limit=5, n0=10, n=50
    )  # a certificate is no upper bound
    best = stored_distances(run, "last", "best")
    assert set(best.rows["method"]) <= shipped | {"minimal", ""}
    assert set(best.key.of) == shipped | {"minimal"}
    joined = best.rows.merge(minimal, on="sample_id", suffixes=("", "_minimal"))
    assert (
        len(joined) == 30
        and (joined["distance"].dropna() <= joined["distance_minimal"].dropna()).all()
    )
    raw = best_table(model.weights_sha256, digits.fingerprint, "test")
    assert raw.checksum == store.sha256_of_rows(raw.rows) and best.checksum != raw.checksum
    pd.testing.assert_frame_equal(
        estimate_distances(model, digits, "best", limit=30), joined_part(best.rows, minimal)
    )
    names = stored_methods(model.weights_sha256, digits.fingerprint, "test")
    assert {"minimal", "smoothing n0=10 n=50"} <= set(names)


def joined_part(rows, wanted):
    return rows[rows["sample_id"].isin(wanted["sample_id"])].reset_index(drop=True)


def test_images_of_the_best_are_those_of_the_method_that_won(digits):
    model = load_model("small_cnn", digits)
    estimate_distances(model, digits, "minimal", limit=30)
    best = estimate_distances(model, digits, "best")
    chosen = [
        best.loc[best["method"] == name, "sample_id"].iloc[0]
        for name in sorted(set(best["method"]) - {""})
    ]
    found = perturbed_images(model, digits, "best", chosen[::-1])
    assert list(found.table["sample_id"]) == chosen[::-1]
    wanted = best.set_index("sample_id").loc[chosen[::-1]]
    np.testing.assert_allclose(found.table["distance"], wanted["distance"], rtol=1e-4)
    assert list(found.table["method"]) == list(wanted["method"])


def test_without_any_attack_there_is_no_best(digits):
    linear = load_model("logistic_regression", digits)
    other = type(linear)(linear.network, "0" * 64, linear.facts, linear.device)
    with pytest.raises(MethodError, match="holds no attack on logistic_regression"):
        estimate_distances(other, digits, "best")


def test_best_has_a_title_and_a_note():
    assert "any attack" in note_of("best") and title_of("best") == "Best of all attacks"
    assert title_of("deepfool:paper") == "DeepFool, paper settings"
    assert title_of("minimal steps=5") == "Minimal (steps=5)"
