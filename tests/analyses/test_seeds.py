from dataclasses import replace

import numpy as np
import pytest

import rbcore as rb
from rbcore.analyses import bias_over_seeds, runs_over_seeds, seeds
from rbcore.errors import MeasureError
from tests.inference.samples import many_groups


def test_sigma_over_runs_that_differ_in_their_seed_only(monkeypatch):
    """Two trainings; a third seed has another size, a fourth measured a part only."""
    (run, *_) = rb.list_runs("digits", "logistic_regression")
    facts = run.facts.model_copy(update={"n_test": 90})
    runs = [
        replace(run, name=f"seed{seed}", facts=facts.model_copy(update={"seed": seed}))
        for seed in range(4)
    ]
    runs[2] = replace(runs[2], facts=runs[2].facts.model_copy(update={"size": 9}))
    rows = {f"seed{seed}": many_groups([40, 50], seed) for seed in range(4)}
    rows["seed3"] = rows["seed3"].head(60)

    class Stored:
        def __init__(self, name):
            self.rows = rows[name]

    monkeypatch.setattr(seeds, "list_runs", lambda dataset, model: runs)
    monkeypatch.setattr(seeds, "stored_distances", lambda run, epoch, method: Stored(run.name))
    assert [other.name for other in runs_over_seeds(runs[0])] == ["seed0", "seed1", "seed3"]
    found = bias_over_seeds(runs[0], 12, "deepfool", "group").set_index("group")
    both = [rb.robustness_bias(rows[name], "group")["sigma"] for name in ("seed0", "seed1")]
    np.testing.assert_allclose(found["mean"], (both[0] + both[1]) / 2)
    assert (found["n_runs"] == 2).all()


def test_one_run_has_no_interval_over_runs():
    (run, *_) = rb.list_runs("digits", "logistic_regression")
    with pytest.raises(MeasureError, match="at least two runs"):
        bias_over_seeds(run, 12, "deepfool", "class")
