"""What ships computed: complete, small, and true when a part of it is computed again."""

import pytest

import rbcore as rb
from rbcore import analyses, store
from rbcore.runs.checkpoints import find_run

SHIPPED = store.bundled_root()
EPOCHS = {
    ("digits", "small_cnn"): 12,
    ("digits", "logistic_regression"): 12,
    ("toyfaces", "small_cnn"): 8,
    ("toyfaces", "logistic_regression"): 12,
}
N_TEST = {"digits": 360, "toyfaces": 1600}
LEAST_ACCURATE = {"digits": 0.95, "toyfaces": 0.5}
METHODS = {"small_cnn": ["deepfool"], "logistic_regression": ["deepfool", "exact"]}
MITIGATIONS = ["adversarial", "regularizer", "regularizer", "reweighting"]
THREE = ("first", "middle", "last")


def test_is_small_enough_to_ship():
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25_000_000
    assert max(path.stat().st_size for path in files) < 3_000_000


@pytest.mark.parametrize(("dataset", "model"), EPOCHS)
def test_every_epoch_has_weights_and_whole_tables(dataset, model):
    (run,) = [run for run in rb.list_runs(dataset, model) if run.is_plain]
    assert run.is_complete and run.epochs == tuple(range(1, EPOCHS[dataset, model] + 1))
    assert run.facts.test_accuracy > LEAST_ACCURATE[dataset]
    for epoch in run.epochs:
        for method in METHODS[model]:
            assert len(rb.stored_distances(run, epoch, method).rows) == N_TEST[dataset]
    for epoch in THREE:
        assert len(rb.stored_distances(run, epoch, "minimal").rows) == N_TEST[dataset]


@pytest.mark.parametrize("dataset", N_TEST)
def test_certificates_ship_for_every_fifth_image(dataset):
    stored = rb.stored_distances(find_run(dataset, "small_cnn"), "last", "smoothing")
    assert len(stored.rows) == N_TEST[dataset] // 5 and (stored.rows["bound"] == "lower").all()


def test_the_planted_group_is_treated_in_four_ways_at_three_epochs():
    plain = find_run("toyfaces", "small_cnn")
    runs = analyses.mitigated_runs(plain)
    assert sorted(run.mitigation["kind"] for run in runs) == MITIGATIONS
    for run in runs:
        assert len(run.epochs) == 3
        for epoch in THREE:
            assert len(rb.stored_distances(run, epoch, "minimal").rows) == N_TEST["toyfaces"]
        assert len(rb.stored_distances(run, "last", "deepfool").rows) == N_TEST["toyfaces"]


@pytest.mark.slow
def test_key_checksum_and_recomputed_rows_hold():
    findings = rb.verify(rows=2)
    n_plain = (
        sum(n * len(METHODS[model]) for (_, model), n in EPOCHS.items())
        + len(THREE) * len(EPOCHS)
        + len(N_TEST)
    )
    assert len(findings) == n_plain + len(MITIGATIONS) * (len(THREE) + 1)
    assert findings["ok"].all(), findings.loc[~findings["ok"], "finding"].tolist()
    assert (findings["recomputed"] == 2).all() and findings["largest_difference"].max() <= 1e-4


def test_the_first_thing_a_newcomer_sees_is_the_planted_bias():
    run = find_run("toyfaces", "small_cnn")
    bias = rb.robustness_bias(rb.stored_distances(run, "last", "deepfool").rows, "lighting")
    assert rb.verdict(bias).startswith("dim is the least robust group")


def test_nothing_shipped_names_a_place_on_a_disk():
    for path in SHIPPED.rglob("*.json"):
        assert "/" not in path.read_text().replace("/s", ""), path
