"""What ships computed: complete, small, and true when a part of it is computed again."""

import pytest

import rbcore as rb
from rbcore import store

SHIPPED = store.bundled_root()
METHODS = {"small_cnn": ["deepfool"], "logistic_regression": ["deepfool", "exact"]}


def test_is_small_enough_to_ship():
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert max(path.stat().st_size for path in files) < 3_000_000


@pytest.mark.parametrize("model", METHODS)
def test_every_epoch_has_weights_and_whole_tables(model):
    (run,) = rb.list_runs("digits", model)
    assert run.is_complete and run.epochs == tuple(range(1, 13))
    assert run.facts["test_accuracy"] > 0.95
    for epoch in run.epochs:
        for method in METHODS[model]:
            assert len(rb.stored_distances(run, epoch, method).rows) == 360


def test_key_checksum_and_recomputed_rows_hold():
    findings = rb.verify(rows=3)
    assert len(findings) == 36
    assert findings["ok"].all(), findings.loc[~findings["ok"], "finding"].tolist()
    assert (findings["recomputed"] == 3).all() and findings["largest_difference"].max() <= 1e-4


def test_nothing_shipped_names_a_place_on_a_disk():
    for path in SHIPPED.rglob("*.json"):
        assert "/" not in path.read_text().replace("/s", ""), path
