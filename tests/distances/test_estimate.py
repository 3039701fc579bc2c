import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from rbcore import store
from rbcore.datasets import load_dataset
from rbcore.distances import METHODS, AttackResult, Method, estimate
from rbcore.distances.cost import estimate_cost
from rbcore.distances.estimate import estimate_distances, estimate_rows
from rbcore.distances.perturbed import perturbed_images
from rbcore.distances.stored import stored_distances
from rbcore.errors import Cancelled, DatasetError, MethodError, StoreError, UnknownNameError
from rbcore.measures.tables import Bound
from rbcore.norms import Norm, norm_of
from rbcore.runs.checkpoints import find_run
from rbcore.runs.loading import load_model, open_run
from rbcore.sampling import Rows
from rbcore.training.train import train

PAPER = "deepfool:paper"  # not among what ships, so it is computed here


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def small_cnn(digits):
    return load_model("small_cnn", digits)


def test_the_table_has_one_row_a_test_image_and_the_facts_of_each(digits, small_cnn):
    table = estimate_distances(small_cnn, digits, PAPER)
    test = digits.samples.iloc[digits.rows("test")]
    assert list(table["sample_id"]) == list(test["sample_id"])
    assert list(table["label"]) == list(test["label"]) and list(table["class"]) == list(
        test["class"]
    )
    assert table["distance"].dtype == np.float64
    assert set(table["bound"]) == {"upper"}
    assert (table["is_correct"] == (table["prediction"] == table["label"])).all()
    assert (table["distance"].isna() == ~table["is_correct"]).all()
    assert ((table["perturbed_prediction"] != table["label"]) | ~table["is_correct"]).all()


def test_what_is_stored_is_not_computed_again(digits, small_cnn, monkeypatch):
    first = estimate_distances(small_cnn, digits, PAPER, limit=40)
    calls = []
    monkeypatch.setattr(estimate.Engine, "estimate", lambda self, rows: calls.append(rows))
    pd.testing.assert_frame_equal(estimate_distances(small_cnn, digits, PAPER, limit=40), first)
    pd.testing.assert_frame_equal(
        estimate_distances(small_cnn, digits, PAPER, limit=10), first.iloc[:10]
    )
    assert not calls


@pytest.mark.slow
def test_more_images_extend_what_is_stored(digits, small_cnn):
    estimate_distances(small_cnn, digits, PAPER, limit=100)
    seen = []
    whole = estimate_distances(
        small_cnn, digits, PAPER, progress=lambda *call: seen.append(call[:2])
    )
    assert seen[0] == (100, 360) and seen[-1] == (360, 360)
    assert list(whole["sample_id"]) == list(digits.samples["sample_id"].iloc[digits.rows("test")])
    run = find_run("digits", "small_cnn")
    computed = stored_distances(run, "last", PAPER).provenance.computed
    assert sum(part.rows for part in computed) == 360


def test_provenance_says_how_it_came_about(digits, small_cnn):
    estimate_distances(small_cnn, digits, PAPER, limit=20, batch_size=10)
    stored = stored_distances(find_run("digits", "small_cnn"), "last", PAPER)
    (computed,) = stored.provenance.computed
    assert computed.rows == 20 and computed.batch_size == 10 and computed.device == "cpu"
    assert computed.torch == torch.__version__.split("+")[0] or computed.torch == torch.__version__
    assert computed.n_forward > computed.n_backward > 20 and computed.seconds > 0
    assert (
        stored.provenance.run == find_run("digits", "small_cnn").name
        and stored.provenance.epoch == 12
    )
    assert stored.key.parameters == {"steps": 100, "candidates": 10, "overshoot": 0.05}


@pytest.mark.slow
def test_a_cancelled_estimate_goes_on_where_it_stopped(digits, small_cnn):
    reported = []
    with pytest.raises(Cancelled):
        estimate_distances(
            small_cnn,
            digits,
            PAPER,
            batch_size=16,  # four passes are a batch
            progress=lambda *call: reported.append(call[0]),
            cancel=lambda: max(reported) >= 128,
        )
    again = []
    table = estimate_distances(
        small_cnn, digits, PAPER, batch_size=16, progress=lambda *call: again.append(call[0])
    )
    assert again[0] == 64 and again[-1] == 360  # the second batch was in hand
    store_key = stored_distances(find_run("digits", "small_cnn"), "last", PAPER).key
    assert store.read_parts(store_key) == []
    assert len(table) == 360


def test_two_calls_at_once_lose_nothing(digits, small_cnn):
    """While one call computes 8 images, another stores 40 of the same table: all stay."""
    seen = []

    def meanwhile(done, total, what):
        if not seen:
            seen.append(estimate_distances(small_cnn, digits, PAPER, limit=40))

    first = estimate_distances(small_cnn, digits, PAPER, limit=8, progress=meanwhile)
    assert len(first) == 8 and len(seen[0]) == 40
    assert len(stored_distances(find_run("digits", "small_cnn"), "last", PAPER).rows) == 40


KILLED = """
import time

from rbcore.distances import estimate
from rbcore.datasets import load_dataset
from rbcore.runs.loading import load_model

whole = estimate.Engine.estimate
def slowly(self, *arguments):
    time.sleep(0.3)
    return whole(self, *arguments)
estimate.Engine.estimate = slowly
digits = load_dataset("digits")
estimate.estimate_distances(load_model("small_cnn", digits), digits, "deepfool:paper", batch_size=8)
"""


@pytest.mark.slow
def test_a_killed_estimate_loses_only_the_batch_in_hand(
    digits, small_cnn, cache, tmp_path, monkeypatch
):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], env={**os.environ, "RBCORE_CACHE": str(cache)}
    )
    deadline = time.monotonic() + 60
    while len(list(cache.glob("parts/*/*.parquet"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    n_kept = len(list(cache.glob("parts/*/*.parquet")))
    assert 3 <= n_kept < 12
    computed, whole = [], estimate.Engine.estimate
    monkeypatch.setattr(
        estimate.Engine,
        "estimate",
        lambda self, rows, done: computed.append(rows) or whole(self, rows, done),
    )
    resumed = estimate_distances(small_cnn, digits, PAPER, batch_size=8)
    assert sum(map(len, computed)) == 360 - 32 * n_kept
    monkeypatch.setenv("RBCORE_CACHE", str(tmp_path / "another"))
    uninterrupted = estimate_distances(small_cnn, digits, PAPER, batch_size=8)
    pd.testing.assert_frame_equal(resumed, uninterrupted, check_exact=True)


def test_parts_that_a_table_holds_already_are_not_counted_twice(
    digits, small_cnn, cache, monkeypatch
):
    """A kill between the table's writing and the removal of its parts let the provenance count
    their rows again.
    """

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove_parts", kill)
        with pytest.raises(Killed):
            estimate_distances(small_cnn, digits, PAPER, limit=40, batch_size=5)
    assert len(list(cache.glob("parts/*/*.parquet"))) == 2
    assert len(estimate_distances(small_cnn, digits, PAPER, limit=40, batch_size=5)) == 40
    (computed,) = stored_distances(
        find_run("digits", "small_cnn"), "last", PAPER
    ).provenance.computed
    assert computed.rows == 40 and not list(cache.glob("parts/*/*"))


def test_perturbed_images_are_those_of_the_stored_distances(digits, small_cnn):
    table = estimate_distances(small_cnn, digits, "deepfool")
    chosen = table[table["distance"].notna()].nsmallest(7, "distance")
    found = perturbed_images(small_cnn, digits, "deepfool", list(chosen["sample_id"]))
    assert list(found.table["sample_id"]) == list(chosen["sample_id"])
    np.testing.assert_allclose(found.table["distance"], chosen["distance"], rtol=1e-4)
    np.testing.assert_array_equal(
        found.clean, digits.pixels(digits.rows_of(list(chosen["sample_id"])))
    )
    with torch.no_grad():
        before, after = (
            small_cnn.network(torch.as_tensor(images)).softmax(1)
            for images in (found.clean, found.perturbed)
        )
    np.testing.assert_array_equal(after.argmax(1), chosen["perturbed_prediction"])
    np.testing.assert_allclose(found.table["probability"], before.amax(1), rtol=1e-5)
    np.testing.assert_allclose(found.table["perturbed_probability"], after.amax(1), rtol=1e-5)
    with pytest.raises(DatasetError, match="no sample 'nobody'"):
        perturbed_images(small_cnn, digits, "deepfool", ["nobody"])


def test_a_run_brings_its_size_and_seed(digits):
    train("logistic_regression", load_dataset("digits", seed=3), epochs=1, run="third")
    dataset, run = open_run("digits", "logistic_regression", run="third")
    assert dataset.seed == 3 and run.name == "third"
    assert dataset.fingerprint != digits.fingerprint


def test_a_model_chooses_the_run_of_its_dataset_and_refuses_others(digits):
    other = load_dataset("digits", seed=3)
    with pytest.raises(
        DatasetError, match=r"size 8, seed 0, validation 0\) than was loaded \(size 8, seed 3"
    ):
        load_model("small_cnn", other)
    train("logistic_regression", other, epochs=1, run="newest")
    assert load_model("logistic_regression", digits).facts.run != "newest"
    assert load_model("logistic_regression", other).facts.run == "newest"
    with pytest.raises(DatasetError, match="'newest' was trained on other content"):
        load_model("logistic_regression", digits, run="newest")


def test_a_shipped_table_stays_as_it_is(digits, small_cnn, cache):
    estimate_distances(small_cnn, digits, "deepfool")
    assert not (cache / "distances").exists()


def test_bad_input_is_named(digits, small_cnn, tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="no dataset 'digit'. Did you mean 'digits'"):
        load_dataset("digit")
    with pytest.raises(UnknownNameError, match="no model 'cnn'"):
        load_model("cnn", digits)
    with pytest.raises(UnknownNameError, match="no epoch of run .* '13'"):
        load_model("small_cnn", digits, epoch=13)
    with pytest.raises(UnknownNameError, match="no run of small_cnn on digits 'x'"):
        load_model("small_cnn", digits, run="x")
    with pytest.raises(UnknownNameError, match="no method 'deepfol'"):
        estimate_distances(small_cnn, digits, "deepfol")
    with pytest.raises(MethodError, match="limit=0"):
        estimate_distances(small_cnn, digits, "deepfool", limit=0)
    with pytest.raises(MethodError, match="batch_size=0"):
        estimate_distances(small_cnn, digits, "deepfool", batch_size=0)
    with pytest.raises(MethodError, match="not linear"):
        estimate_distances(small_cnn, digits, "exact", limit=5)
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("RBCORE_CACHE", str(tmp_path / "blocked"))
    with pytest.raises(StoreError, match="Cannot write .*blocked"):
        estimate_distances(small_cnn, digits, PAPER, limit=5)


def test_every_fifth_image_is_the_papers_subset(digits, small_cnn):
    table = estimate_distances(small_cnn, digits, "minimal:fast", every=5)
    every_fifth = digits.samples["sample_id"].iloc[np.sort(digits.rows("test"))[::5]]
    assert set(table["sample_id"]) == set(every_fifth) and len(table) == 72
    some = estimate_distances(small_cnn, digits, "minimal:fast", every=5, limit=10)
    assert list(some["sample_id"]) == list(table["sample_id"][:10])
    with pytest.raises(MethodError, match="every=0"):
        estimate_distances(small_cnn, digits, "minimal", every=0)


def test_a_method_may_be_spelled_with_its_parameters(digits, small_cnn):
    spelled = estimate_distances(small_cnn, digits, "minimal:fast candidates=2", limit=6)
    given = estimate_distances(small_cnn, digits, "minimal:fast", limit=6, candidates=2)
    pd.testing.assert_frame_equal(spelled, given)
    assert (
        stored_distances(find_run("digits", "small_cnn"), "last", "minimal:fast candidates=2")
        is not None
    )
    assert stored_distances(find_run("digits", "small_cnn"), "last", "minimal:fast") is None


def test_what_smoothing_costs_is_said_beforehand(digits, small_cnn):
    cost = estimate_cost(small_cnn, digits, "smoothing", limit=4, n0=10, n=50)
    assert (cost.n_images, cost.passes) == (4, 60) and cost.seconds > 0
    estimate_distances(small_cnn, digits, "smoothing", limit=4, n0=10, n=50)
    assert estimate_cost(small_cnn, digits, "smoothing", limit=4, n0=10, n=50).n_images == 0
    assert estimate_cost(small_cnn, digits, "minimal") is None


def test_a_perturbed_image_had_again_has_the_stored_distance_and_prediction(digits, small_cnn):
    table = estimate_distances(small_cnn, digits, "minimal", limit=40)
    chosen = table[table["is_correct"]].sample(5, random_state=0)
    again = perturbed_images(small_cnn, digits, "minimal", list(chosen["sample_id"]))
    np.testing.assert_array_equal(
        again.table["distance"], chosen["distance"]
    )  # to the bit, in other company
    with torch.no_grad():
        predicted = small_cnn.network(torch.as_tensor(again.perturbed)).argmax(1).numpy()
    np.testing.assert_array_equal(predicted, chosen["perturbed_prediction"])


def test_chunks_in_any_order_and_again_give_the_table_of_one_call(
    digits, small_cnn, cache, monkeypatch
):
    method, order = "minimal:fast candidates=2", digits.rows("test")
    chunks = [order[start : start + 90] for start in range(0, len(order), 90)]
    computed = [
        estimate_rows(small_cnn, digits, method, chunk, batch_size=8)
        for chunk in (chunks[2], chunks[0], chunks[2], order[60:120], chunks[3], chunks[1])
    ]
    assert computed == [90, 90, 0, 30, 90, 60]
    assert not (cache / "distances").exists()  # parts alone, until somebody asks for the table
    n_parts = len(list(cache.glob("parts/*/*.parquet")))
    joined = estimate_distances(small_cnn, digits, method, cancel=lambda: True)  # computes nothing
    assert n_parts > 5 and not list(cache.glob("parts/*/*"))
    stored = stored_distances(find_run("digits", "small_cnn"), "last", method)
    assert sum(part.rows for part in stored.provenance.computed) == len(order)
    assert estimate_rows(small_cnn, digits, method, order) == 0
    monkeypatch.setenv("RBCORE_CACHE", str(cache / "another"))
    whole = estimate_distances(small_cnn, digits, method, batch_size=8)
    pd.testing.assert_frame_equal(joined, whole, check_exact=True)


def test_chunks_of_a_drawn_sample_carry_its_weights(digits, small_cnn):
    rows = Rows(limit=12, at_least=5, by="class")
    wanted = rows.chosen(digits.rows("test"), digits.samples)
    for chunk in (wanted[20:], wanted[:20]):
        estimate_rows(small_cnn, digits, "ddn steps=3", chunk, by="class")
    asked = estimate_distances(small_cnn, digits, "ddn", rows, steps=3)
    stored = stored_distances(find_run("digits", "small_cnn"), "last", "ddn", steps=3)
    assert asked["sampling_weight"].sum() == pytest.approx(len(digits.rows("test")))
    pd.testing.assert_series_equal(stored.rows["sampling_weight"], asked["sampling_weight"])


def test_rows_of_two_splits_or_of_none_are_refused(digits, small_cnn):
    mixed = np.concatenate([digits.rows("test")[:2], digits.rows("train")[:1]])
    with pytest.raises(DatasetError, match="3 rows are of test and train"):
        estimate_rows(small_cnn, digits, PAPER, mixed)
    with pytest.raises(DatasetError, match="0 rows are of no split"):
        estimate_rows(small_cnn, digits, PAPER, mixed[:0])


def test_what_rows_are_wanted_is_said_once(digits, small_cnn):
    with pytest.raises(MethodError, match="and limit say which images"):
        estimate_distances(small_cnn, digits, PAPER, Rows(every=5), limit=3)
    for method in METHODS.values():
        names = {parameter.name for parameter in method.parameters}
        assert Rows.among(None, dict.fromkeys(names, 1))[1].keys() == names


def test_a_method_in_another_norm_is_measured_kept_and_named_in_it(digits, small_cnn, monkeypatch):
    """It moves nothing, so the engine falls back: to the nearest image, and measures, in L∞."""
    method = Method(
        "toy",
        "Toy",
        lambda network, batch: AttackResult(batch.images),
        bound=Bound.UPPER,
        description="moves nothing",
        norm=Norm.LINF,
    )
    monkeypatch.setitem(METHODS._items, "toy", method)
    rows = estimate_distances(small_cnn, digits, "toy", limit=20, batch_size=20)
    found = perturbed_images(small_cnn, digits, "toy", list(rows["sample_id"]))
    change = np.abs(found.perturbed.astype(float) - found.clean).max(axis=(1, 2, 3))
    np.testing.assert_allclose(rows["distance"], change, rtol=1e-6)
    assert (rows.loc[rows["is_correct"], "status"] == "fallback").all()
    stored = stored_distances(find_run("digits", "small_cnn"), "last", "toy")
    assert stored.key.norm is Norm.LINF
    assert [norm_of(table) for table in (rows, found.table, stored.rows)] == [Norm.LINF] * 3
    assert "toy" not in stored_distances(find_run("digits", "small_cnn"), "last", "best").key.of
