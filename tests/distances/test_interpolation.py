from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

import rbcore as rb
from rbcore.distances.interpolation import (
    BETWEEN,
    STEPS,
    clean_probabilities,
    rounded_predictions,
    walk,
)
from tests.toys import as_images, linear_network


@dataclass
class Asked:
    """A model as walks need it: a network and where it runs."""

    network: Any
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


# two classes in two dimensions: class 1 where the first coordinate is above one half
MODEL = Asked(linear_network([[0.0, 0.0], [10.0, 0.0]], [0.0, -5.0]).float())


def image(*point):
    return as_images([point]).astype(np.float32)[0]


def test_a_walk_crosses_where_the_boundary_lies():
    found = walk(MODEL, image(0.2, 0.1), image(0.6, 0.1))
    assert found.steps[0] == 0 and found.steps[-1] == pytest.approx(1.2) and len(STEPS) == 13
    np.testing.assert_allclose(found.images[:, 0, 0, 0], 0.2 + STEPS * 0.4, atol=1e-6)
    assert found.crossing == pytest.approx(0.75, abs=0.1 / BETWEEN + 1e-6)
    assert list(found.predictions) == [0] * 8 + [1] * 5
    first = 10 * 0.2 - 5  # the logit of class 1 at the clean image; that of class 0 is 0
    assert found.probabilities[0, 1] == pytest.approx(1 / (1 + np.exp(-first)), rel=1e-5)


def test_beyond_the_changed_image_pixels_stop_at_black_and_white_or_where_it_stops():
    assert walk(MODEL, image(0.5, 0.5), image(1.0, 0.0)).images[-1].ravel() == pytest.approx(
        [1.0, 0.0]
    )
    assert walk(MODEL, image(0.5, 0.5), image(1.5, 0.5)).images[-1].ravel() == pytest.approx(
        [1.5, 0.5]
    )


def test_a_walk_that_crosses_nothing_says_so():
    assert np.isnan(walk(MODEL, image(0.1, 0.1), image(0.2, 0.1)).crossing)


def test_rounding_can_undo_a_change():
    just, clear = (
        image(0.5 + 1e-4, 0.1),
        image(0.6, 0.1),
    )  # the levels around one half are 127 / 255 and 128 / 255
    assert round(0.5001 * 255) == 128  # goes up, and stays in class 1
    down = image(0.4999, 0.1)  # class 0, and rounds down
    missing = np.full_like(just, np.nan)
    found = rounded_predictions(MODEL, np.stack([just, clear, down, missing]))
    assert list(found) == [1, 1, 0, -1]
    shifted = Asked(
        linear_network([[0.0, 0.0], [10.0, 0.0]], [0.0, -5.03]).float()
    )  # boundary at .503, above 128 / 255
    assert list(rounded_predictions(shifted, image(0.5035, 0.1)[None])) == [0]


def test_how_sure_the_network_is_of_every_test_image():
    data = rb.load_dataset("digits")
    model = rb.load_model("logistic_regression", data)
    sure = clean_probabilities(model, data)
    samples = list(sure.index[:5])
    table = rb.perturbed_images(model, data, "exact", samples).table
    np.testing.assert_allclose(sure[samples], table["probability"], rtol=1e-5)
    assert len(sure) == 360 and sure.between(0.1, 1).all()
