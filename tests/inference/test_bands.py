import warnings

import numpy as np
import pytest
from scipy import stats

from rbcore.errors import UnknownNameError
from rbcore.inference import curves, dkw_band
from rbcore.measures import Policy, areas_under_curves, proportion_beyond, split_groups
from tests.inference.samples import toyfaces
from tests.measures.test_robustness import PAPER_EXAMPLE

with warnings.catch_warnings():  # of its dependencies, on import
    warnings.simplefilter("ignore")
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time


def test_curves_start_at_the_accuracy_and_lie_in_their_band():
    for band in ("pointwise", "simultaneous"):
        rows = curves(PAPER_EXAMPLE, "group", taus=np.linspace(0, 4, 9), band=band)
        starts = rows[rows["tau"] == 0].set_index("group")["share"]
        np.testing.assert_allclose(starts[["a", "b", "c"]], [2 / 3, 1, 1])
        assert ((rows["low"] <= rows["share"]) & (rows["share"] <= rows["high"])).all()
        assert ((rows["low"] >= 0) & (rows["high"] <= 1)).all()
        ends = rows[rows["tau"] == 4].set_index("group")["share"]
        assert (ends == 0).all()
    with pytest.raises(UnknownNameError, match="no band 'wide'"):
        curves(PAPER_EXAMPLE, "group", taus=np.zeros(1), band="wide")


def test_curves_carry_rb_and_its_interval():
    rows = curves(toyfaces(), "lighting", taus=np.linspace(0, 3, 7))
    assert ((rows["rb_low"] <= rows["rb"]) & (rows["rb"] <= rows["rb_high"])).all()
    assert (rows["rb_low"] > 0).any() and (rows["rb_low"][rows["tau"] == 0] == 0).all()


@pytest.mark.parametrize("misclassified", ["zero", "exclude"])
def test_curves_and_areas_are_lifelines_survival_and_restricted_mean(misclassified):
    """With no censoring the Kaplan-Meier estimate is I_P, and the restricted mean the
    area up to tau_max.
    """
    rows = toyfaces()
    taus = np.linspace(0, 4, 41)
    policy = Policy(misclassified=misclassified, tau_max=1.5)
    grouped = split_groups(rows, "class", policy)
    ours = curves(rows, "class", taus=taus, policy=policy)
    for group, values, area in zip(
        grouped.groups, grouped.values, areas_under_curves(grouped), strict=True
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = KaplanMeierFitter().fit(values)
            survival = fitted.survival_function_at_times(taus).to_numpy()
            restricted = restricted_mean_survival_time(fitted, t=1.5)
        np.testing.assert_allclose(ours[ours["group"] == group]["share"], survival, atol=1e-9)
        assert restricted == pytest.approx(area, rel=1e-6)


def test_the_band_has_the_width_of_the_kolmogorov_quantile():
    """Massart's constant is the asymptotic one: sqrt(n) times the half width is scipy's limit
    quantile, nearly.
    """
    low, high = dkw_band(np.array([0.5]), 10_000)
    assert (high - low)[0] / 2 * 100 == pytest.approx(stats.kstwobign.isf(0.05), rel=1e-3)


@pytest.mark.parametrize("n", [20, 200])
@pytest.mark.parametrize("accuracy", [0.4, 0.9])
def test_the_simultaneous_band_covers_the_whole_true_curve(n, accuracy):
    random = np.random.default_rng(0)
    n_draws, covered = 400, 0
    for _ in range(n_draws):
        values = np.where(random.random(n) < accuracy, random.exponential(size=n), 0.0)
        taus = np.unique(
            np.r_[0.0, values, np.nextafter(values[values > 0], 0), np.linspace(0, 12, 50)]
        )
        low, high = dkw_band(proportion_beyond(values, taus), n)
        true = accuracy * np.exp(-taus)
        covered += bool(((low <= true) & (true <= high)).all())
    assert stats.binomtest(covered, n_draws, 0.94, alternative="less").pvalue > 1e-3
