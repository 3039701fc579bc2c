"""Settings that mean nothing are refused by name wherever numbers are drawn or an
interval is made.
"""

import numpy as np
import pytest

import rbcore as rb
from rbcore.errors import MeasureError
from rbcore.inference import curves, decompose_bias
from rbcore.inference.paired import paired_share
from rbcore.inference.proportions import wilson_interval
from tests.inference.samples import two_groups


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("confidence", value) for value in (0, 1, 1.5, -0.1, float("nan"), 95, "0.95")),
        *((name, value) for name in ("n_resamples", "n_permutations") for value in (0, -1, 10.5)),
        *(("seed", value) for value in (-1, 1.5, None)),
    ],
)
def test_a_setting_that_means_nothing_is_named(name, value):
    """A confidence of 0 or 1 gave intervals of NaN, no permutation p = 1, and the rest ended in
    tracebacks of NumPy's.
    """
    few = {"n_resamples": 20, "n_permutations": 20}
    with pytest.raises(MeasureError, match=f"^{name}="):
        rb.robustness_bias(two_groups(12), "group", **{**few, name: value})


def test_every_interval_checks_its_confidence():
    table = two_groups(12)
    with pytest.raises(MeasureError, match="confidence=1"):
        decompose_bias(table, "group", confidence=1, n_resamples=20)
    for band in ("pointwise", "simultaneous"):
        with pytest.raises(MeasureError, match="confidence=2"):
            curves(table, "group", taus=np.array([0.1]), confidence=2, band=band)
    with pytest.raises(MeasureError):
        wilson_interval(np.array([0.5]), 10, 0)
    with pytest.raises(MeasureError):
        paired_share(np.array([True]), np.array([True]), 1)


def test_a_whole_number_of_numpys_is_a_seed():
    few = {"n_resamples": 20, "n_permutations": 20}
    one, other = (
        rb.robustness_bias(two_groups(12), "group", seed=seed, **few) for seed in (3, np.int64(3))
    )
    assert one.equals(other)
