import numpy as np
import pandas as pd
import pytest

import rbcore as rb
from rbcore import inference, sampling
from rbcore.errors import MethodError
from rbcore.measures import areas_under_curves, split_groups
from rbcore.partitions import group_labels
from rbcore.runs.checkpoints import find_run
from tests.cli.test_main import run, table_of
from tests.measures.test_robustness import table
from tests.records import computed, provenance

SIZES = {"big": 900, "middle": 300, "rare": 40}


def population(seed=0) -> pd.DataFrame:
    """A split of three groups of very different size and distance, in a random order, with a second
    attribute that crosses them.
    """
    random = np.random.default_rng(seed)
    groups = random.permutation(np.repeat(list(SIZES), list(SIZES.values())))
    means = pd.Series({"big": 2.0, "middle": 1.0, "rare": 0.3})
    rows = table(random.gamma(4, 0.25, len(groups)) * means[groups].to_numpy(), groups)
    return rows.assign(side=np.where(random.random(len(rows)) < 0.3, "left", "right"))


def drawn(rows: pd.DataFrame, limit: int, at_least: int) -> pd.DataFrame:
    order = np.arange(len(rows))
    chosen = sampling.draw(order[:limit], order, rows["group"].to_numpy(), at_least)
    return sampling.weigh_by(rows.iloc[chosen].reset_index(drop=True), rows, "group")


def test_each_group_has_at_least_so_many_and_they_are_its_first():
    rows = population()
    sample = drawn(rows, 100, 30)
    counts = sample["group"].value_counts()
    plain = rows.head(100)["group"].value_counts()
    assert counts.to_dict() == {group: max(30, plain.get(group, 0)) for group in SIZES}
    for group, own in sample.groupby("group"):
        assert list(own["sample_id"]) == list(
            rows.loc[rows["group"] == group, "sample_id"].head(len(own))
        )
    assert len(drawn(rows, 1, 50).query("group == 'rare'")) == 40  # all there are


def test_a_stratified_sample_estimates_sigma_of_the_whole_split():
    """Unweighted, the rest of "big" would be half "rare" and sigma of "big" far too high."""
    errors, naive = [], []
    for seed in range(20):
        rows = population(seed)
        whole = rb.robustness_bias(rows, "group", n_resamples=49, n_permutations=49).set_index(
            "group"
        )
        sample = drawn(rows, 1, 38)
        found = rb.robustness_bias(sample, "group", n_resamples=49, n_permutations=49).set_index(
            "group"
        )
        plain = sample.drop(columns=sampling.WEIGHT)
        naive.append(
            rb.robustness_bias(plain, "group", n_resamples=49, n_permutations=49)["sigma"][0]
        )
        errors.append(found["sigma"] - whole["sigma"])
    assert (
        np.abs(np.mean(errors, axis=0)).max() < 0.15
    )  # the standard error of 20 samples is about 0.07
    assert np.mean(naive) - whole.loc["big", "sigma"] > 0.5


def test_weights_are_those_of_a_table_in_which_each_row_stands_as_often_as_it_counts():
    rows = table([1.0, 2.0, 3.0, 5.0, 7.0], list("aabbc")).assign(
        sampling_weight=[1.0, 1.0, 3.0, 3.0, 2.0]
    )
    often = rows.loc[rows.index.repeat(rows["sampling_weight"].astype(int))].drop(
        columns="sampling_weight"
    )
    often["sample_id"] = [f"t{i}" for i in range(len(often))]
    bias = rb.robustness_bias(rows, "group", n_resamples=49, n_permutations=49)
    expected = rb.robustness_bias(often, "group", n_resamples=49, n_permutations=49)
    np.testing.assert_allclose(bias[["auc", "sigma"]], expected[["auc", "sigma"]])
    assert list(bias["n"]) == [2, 2, 1]
    taus = np.linspace(0, 6, 13)
    ours, theirs = (inference.curves(each, "group", taus=taus) for each in (rows, often))
    np.testing.assert_allclose(ours["rb"], theirs["rb"], atol=1e-12)
    parts, of = (inference.decompose_bias(each, "group", n_resamples=49) for each in (rows, often))
    np.testing.assert_allclose(parts["log_ratio"], of["log_ratio"])


def test_by_another_partition_a_fair_part_is_measured():
    """Of "left", rare and near faces would be most."""
    rows = population()
    sample = drawn(rows, 1, 38)
    part = sampling.proportional(sample)
    shares = part["group"].value_counts(normalize=True)
    assert shares["big"] == pytest.approx(900 / 1240, abs=0.02) and shares["rare"] == pytest.approx(
        40 / 1240, abs=0.02
    )
    grouped = split_groups(sample, "side")
    np.testing.assert_allclose(
        areas_under_curves(grouped), areas_under_curves(split_groups(part, "side"))
    )
    assert set(split_groups(sample, "group*side").n) != set(
        split_groups(part, "group*side").n
    )  # finer: all rows
    assert f"on {len(part)} of {len(sample)} images" in sampling.in_words(
        sample, group_labels(sample, "side")
    )
    assert "each group is a fair draw" in sampling.in_words(sample, group_labels(sample, "group"))


def test_what_is_proportional_already_has_no_weights():
    rows = population()
    assert sampling.WEIGHT not in sampling.weigh_by(rows, rows, "group").columns
    assert sampling.weigh_by(rows.head(9), rows, "").equals(rows.head(9))
    parts = tuple(computed(strata=by) for by in ("a*b", None, "b*c"))
    assert provenance(computed=parts).strata == "a*b*c"


def test_an_estimate_is_stratified_from_end_to_end(cache):
    """Library, store and command line: every digit at least 5 times, beside the first 12."""
    digits = rb.load_dataset("digits")
    model = rb.load_model("logistic_regression", digits)
    rows = rb.estimate_distances(model, digits, "ddn", limit=12, at_least=5, by="class", steps=3)
    assert rows["class"].value_counts().min() == 5 and len(rows) < 60
    of_split = digits.samples[digits.samples["split"] == "test"]["class"].value_counts()
    stands_for = rows.groupby("class")[sampling.WEIGHT].sum()
    np.testing.assert_allclose(stands_for, of_split[stands_for.index])
    stored = rb.stored_distances(find_run("digits", "logistic_regression"), "last", "ddn", steps=3)
    pd.testing.assert_series_equal(stored.rows[sampling.WEIGHT], rows[sampling.WEIGHT])
    assert (
        sampling.WEIGHT
        not in rb.estimate_distances(model, digits, "ddn", limit=12, steps=3).columns
    )
    asked = ("digits", "logistic_regression", "ddn", "--set", "steps=3")
    assert list(table_of("estimate", *asked, "--at-least", 7, "--by", "class")["n"]) == [70]
    told = run("bias", *asked, "--by", "class").stderr
    assert "drawn by class" in told and "each group is a fair draw of its own images" in told
    with pytest.raises(MethodError, match="at_least=None with by='class' draws nothing"):
        rb.estimate_distances(model, digits, "ddn", by="class", steps=3)
