"""The measures against distances that others measured and published (UG100): L-infinity, three
CIFAR-10 models.
"""

import numpy as np
import pandas as pd
import pytest

from rbcore.analyses import UG100_MODELS, agreement_of, paired_sigmas, ug100_table
from rbcore.inference import robustness_bias
from rbcore.norms import Norm, norm_of


@pytest.mark.parametrize("model", UG100_MODELS)
@pytest.mark.parametrize("attack", ["deepfool", "carlini"])
def test_attacks_and_lower_bounds_agree_on_the_sign_of_every_class(shared_data, model, attack):
    lower, n_left_out = ug100_table(shared_data / "ug100", model, "lower")
    upper, _ = ug100_table(shared_data / "ug100", model, "upper")
    found, _ = ug100_table(shared_data / "ug100", model, attack)
    assert len(lower) > 1000 and n_left_out < 0.6 * (len(lower) + n_left_out)
    assert (lower["distance"] <= upper["distance"]).all()
    assert (found["distance"] >= lower["distance"] * (1 - 1e-6)).mean() > 0.99
    assert {norm_of(table) for table in (lower, upper, found)} == {Norm.LINF}
    tables = (lower, upper, found)
    signs = [np.sign(robustness_bias(table, "class")["sigma"]) for table in tables]
    assert len(signs[0]) == 10
    assert (signs[0] == signs[1]).all() and (signs[0] == signs[2]).all()


def test_agreement_over_all_classes_and_networks(shared_data):
    """30 signs a pair of methods, all the same: so the interval of the share starts at 30 / (30 +
    z^2), Wilson's for n of n.
    """
    for first, second in (("lower", "deepfool"), ("upper", "carlini"), ("deepfool", "carlini")):
        pairs = pd.concat(
            paired_sigmas(
                ug100_table(shared_data / "ug100", model, first)[0],
                ug100_table(shared_data / "ug100", model, second)[0],
                ["class"],
            )
            for model in UG100_MODELS
        )
        found = agreement_of(pairs)
        assert (found.n, found.n_same, found.kappa) == (30, 30, 1.0)
        assert found.low == pytest.approx(30 / (30 + 1.959964**2))
        assert abs(found.mean_difference) < 0.01 and found.variance_of_differences < 0.01
