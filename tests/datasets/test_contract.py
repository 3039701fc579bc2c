"""One contract for all loaders: registering a dataset is what tests it."""

import numpy as np
import pytest

from rbcore.datasets import DATASETS, load_dataset
from rbcore.partitions import group_labels, partition_names
from tests.faces import write_faces


@pytest.fixture(params=list(DATASETS))
def loaded(request, tmp_path):
    spec = DATASETS[request.param]
    root = write_faces(tmp_path / "faces") if spec.needs_folder else None
    return spec, root, load_dataset(spec.name, root=root)


def test_images_lie_in_the_unit_range(loaded):
    spec, _, dataset = loaded
    rows = np.concatenate([dataset.rows("train"), dataset.rows("test")])
    pixels = dataset.pixels(rows)
    assert pixels.dtype == np.float32
    assert pixels.shape == (len(rows), *dataset.input_shape)
    assert dataset.input_shape == (spec.channels, spec.default_size, spec.default_size)
    assert pixels.min() >= 0 and pixels.max() <= 1 and pixels.std() > 0.01


def test_splits_are_disjoint_and_four_to_one(loaded):
    _, _, dataset = loaded
    train, test = set(dataset.rows("train")), set(dataset.rows("test"))
    assert not train & test
    assert train | test == set(range(len(dataset.samples)))
    assert len(test) == round(0.2 * len(dataset.samples)) or abs(len(test) / len(dataset.samples) - 0.2) < 0.01


def test_samples_carry_labels_and_partitions(loaded):
    spec, _, dataset = loaded
    samples = dataset.samples
    assert samples["sample_id"].is_unique
    assert set(samples["label"]) == set(range(len(spec.classes)))
    assert (samples["class"] == samples["label"].map(dict(enumerate(spec.classes)))).all()
    assert set(spec.partitions) <= set(partition_names(samples.drop(columns="split")))
    for by in spec.partitions:
        assert group_labels(samples, by).nunique() > 1


def test_fingerprint_follows_the_content_only(loaded, tmp_path):
    spec, root, dataset = loaded
    assert load_dataset(spec.name, root=root).fingerprint == dataset.fingerprint
    assert load_dataset(spec.name, root=root, seed=1).fingerprint != dataset.fingerprint
    if root is not None:
        moved = root.rename(tmp_path / "elsewhere")
        assert load_dataset(spec.name, root=moved).fingerprint == dataset.fingerprint


def test_first_rows_are_a_fair_draw(loaded):
    """``--limit`` takes the first rows: they must not be sorted by anything a reader could group by."""
    _, _, dataset = loaded
    labels = dataset.labels(dataset.rows("train"))
    assert len(set(labels[:20])) > 1
    assert (np.diff(dataset.rows("train")) < 0).any()


def test_says_where_it_comes_from(loaded):
    spec, _, _ = loaded
    assert spec.source and spec.licence and spec.caution and spec.title
