import numpy as np
import pytest
from sklearn.datasets import load_digits

from rbcore.datasets import load_dataset
from rbcore.errors import DatasetError


def test_is_the_whole_of_scikit_learns_digits():
    dataset = load_dataset("digits")
    assert len(dataset.rows("train")) == 1437 and len(dataset.rows("test")) == 360
    source = load_digits()
    row = 17
    number = int(dataset.samples["sample_id"].iat[row].removeprefix("digit-"))
    np.testing.assert_allclose(dataset.pixels(np.array([row]))[0, 0], source.images[number] / 16)
    assert dataset.samples["label"].iat[row] == source.target[number]


def test_every_class_is_in_the_test_split():
    dataset = load_dataset("digits")
    counts = np.bincount(dataset.labels(dataset.rows("test")))
    assert counts.min() >= 34 and counts.max() <= 38


def test_refuses_another_size():
    with pytest.raises(DatasetError, match="8x8 pixels; size 16"):
        load_dataset("digits", size=16)
