import pytest

from rbcore.datasets import load_dataset
from rbcore.runs.loading import load_model


@pytest.fixture(scope="module")
def digits():
    """The shipped network of the digits, its test images and their labels."""
    dataset = load_dataset("digits")
    rows = dataset.rows("test")
    return load_model("small_cnn", dataset).network, dataset.pixels(rows), dataset.labels(rows)
