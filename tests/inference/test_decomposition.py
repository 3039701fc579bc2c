import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbcore.errors import MeasureError
from rbcore.inference import bootstrap_sigma, decompose_bias
from rbcore.measures import Policy, sigma_bias, split_groups
from tests.inference.samples import many_groups, toyfaces
from tests.measures.test_robustness import NAN, PAPER_EXAMPLE, table, tables


def parts(rows, **options):
    found = decompose_bias(rows, "group", n_resamples=200, **options)
    return found.pivot(index="group", columns="part", values="log_ratio")


def test_the_split_worked_on_paper():
    """a: accuracy 2/3 against 1, mean correct distance 2 against 8/3."""
    found = parts(PAPER_EXAMPLE)
    assert found.loc["a", "accuracy"] == pytest.approx(np.log(2 / 3))
    assert found.loc["a", "distance"] == pytest.approx(np.log(2 / (8 / 3)))


@settings(max_examples=40)
@given(tables(), st.sampled_from([None, 0.5, 50.0]))
def test_the_parts_add_up_to_the_logarithm_of_sigma(rows, tau_max):
    policy = Policy(tau_max=tau_max)
    rows = rows.assign(distance=rows["distance"].round(6))
    found = parts(rows, policy=policy)
    sigma = sigma_bias(split_groups(rows, "group", policy))
    is_defined = np.isfinite(found["total"].to_numpy())
    assert (is_defined == (np.isfinite(sigma) & (sigma > -1))).all()
    np.testing.assert_allclose(  # near sigma = -1, 1 + sigma has only its absolute rounding
        np.exp(found["total"])[is_defined], 1 + sigma[is_defined], rtol=1e-9, atol=1e-15
    )
    np.testing.assert_allclose(
        found["accuracy"] + found["distance"], found["total"], rtol=1e-9, atol=1e-9
    )


def test_the_total_has_the_interval_of_sigma():
    rows = many_groups([80, 100])
    total = decompose_bias(rows, "group").query("part == 'total'")
    low, high = bootstrap_sigma(split_groups(rows, "group"))
    np.testing.assert_allclose(
        np.expm1(total[["low", "high"]]), np.stack([low, high], axis=1), rtol=0.05
    )


@pytest.mark.slow
def test_standard_errors_are_those_of_many_samples():
    """Half widths over the normal quantile against the spread of each part over fresh samples."""
    found, widths = [], []
    for seed in range(150):
        table_ = decompose_bias(
            many_groups([150, 250], seed, accuracy=0.6), "group", n_resamples=200
        )
        own = table_[table_["group"] == "g0"]
        found.append(own["log_ratio"].to_numpy())
        widths.append((own["high"] - own["low"]).to_numpy() / 2 / 1.96)
    np.testing.assert_allclose(np.std(found, axis=0), np.mean(widths, axis=0), rtol=0.2)


def test_equal_accuracies_leave_it_to_the_distance():
    rows = table([1.0, 2.0, NAN] * 20 + [2.0, 4.0, NAN] * 20, ["a"] * 60 + ["b"] * 60)
    found = parts(rows)
    assert found.loc["a", "accuracy"] == pytest.approx(0, abs=1e-12)
    assert found.loc["a", "distance"] == pytest.approx(np.log(0.5))


def test_where_it_is_not_defined_it_says_so():
    for policy in (Policy(misclassified="exclude"), Policy(rest="mean"), Policy(rest="sum")):
        with pytest.raises(
            MeasureError, match="exact only for misclassified='zero' with rest='pooled'"
        ):
            decompose_bias(PAPER_EXAMPLE, "group", policy=policy)
    found = decompose_bias(table([1, 2, NAN, NAN], list("aabb")), "group", n_resamples=50)
    assert found[["log_ratio", "low", "high"]].isna().all(axis=None)


def test_toyfaces_dim_light_is_lower_in_both_parts():
    found = decompose_bias(toyfaces(), "lighting").set_index(["group", "part"])
    assert found.loc[("dim", "distance"), "high"] < 0
    assert found.loc[("dim", "accuracy"), "log_ratio"] < 0
