"""Norms against numbers worked out by hand, and what a table says of its own."""

import math

import pandas as pd
import pytest
import torch

from rbcore.errors import MeasureError
from rbcore.norms import (
    Norm,
    distance_title,
    gaps,
    gaps_of_slopes,
    lengths,
    norm_of,
    slopes,
    smooth_slopes,
)

IMAGES = torch.tensor([[3.0, -4.0], [0.0, 0.0]]).view(2, 1, 1, 2)


NORMS_OF_POINTS = {Norm.L2: (5.0, 5.0), Norm.LINF: (4.0, 7.0)}
"""Norm and dual norm of (3, -4), worked out by hand."""


def test_every_norm_is_worked_out_by_hand():
    assert set(NORMS_OF_POINTS) == set(Norm)


@pytest.mark.parametrize("norm", Norm)
def test_lengths_and_the_slopes_dual_to_them(norm):
    length, slope = NORMS_OF_POINTS[norm]
    assert lengths(IMAGES, norm).tolist() == [length, 0.0]
    assert slopes(IMAGES, norm).tolist() == [slope, 0.0]


@pytest.mark.parametrize("norm", Norm)
def test_a_slope_is_the_most_that_a_step_of_length_one_can_gain(norm):
    """Along the best of many directions, scaled to length 1."""
    angles = torch.linspace(0, 2 * math.pi, 100_001)
    directions = torch.stack([angles.cos(), angles.sin()], 1).view(-1, 1, 1, 2)
    steps = directions / lengths(directions, norm).view(-1, 1, 1, 1)
    gained = (steps * IMAGES[:1]).flatten(1).sum(1).max()
    assert float(gained) == pytest.approx(float(slopes(IMAGES[:1], norm)), rel=1e-4)


def test_gaps_between_images_and_between_rows_of_weights():
    assert gaps(IMAGES[:1], IMAGES).tolist() == [[0.0, 5.0]]
    assert gaps(IMAGES[:1], IMAGES, Norm.LINF).tolist() == [[0.0, 4.0]]
    weights = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert gaps_of_slopes(weights).tolist() == [[0.0, 5.0], [5.0, 0.0]]
    assert gaps_of_slopes(weights, Norm.LINF).tolist() == [[0.0, 7.0], [7.0, 0.0]]


def test_a_smooth_slope_has_a_gradient_at_zero_too():
    gradients = IMAGES.clone().requires_grad_()
    found = smooth_slopes(gradients, 0.5)
    assert found.tolist() == [5.0, 0.5]
    found.sum().backward()
    torch.testing.assert_close(gradients.grad.flatten(), torch.tensor([0.6, -0.8, 0.0, 0.0]))


def test_a_table_says_its_norm_in_a_column_or_beside_its_rows():
    rows = pd.DataFrame({"distance": [0.1, 0.2]})
    assert norm_of(rows) is Norm.L2
    assert norm_of(rows.assign(norm="linf")) is Norm.LINF
    rows.attrs["norm"] = "linf"
    assert norm_of(rows) is Norm.LINF
    with pytest.raises(MeasureError, match=r"several norms \(l2, linf\)"):
        norm_of(rows.assign(norm=["l2", "linf"]))
    with pytest.raises(MeasureError, match="'l1', which is none of l2, linf"):
        norm_of(rows.assign(norm="l1"))


def test_the_titles_of_axes():
    assert distance_title(Norm.L2) == "L2 distance in [0, 1] pixel space"
    assert distance_title(Norm.LINF) == "L∞ distance in [0, 1] pixel space"
