"""One contract for all loaders: registering a dataset is what tests it."""

import numpy as np
import pytest
from pandas.api.types import is_numeric_dtype

from benchmarks.layouts import LAYOUTS
from rbcore.datasets import DATASETS, count_on_disk, known_folder, load_dataset
from rbcore.errors import DatasetError
from rbcore.partitions import group_labels, partition_names

IN_FOLDERS = [spec.name for spec in DATASETS.values() if spec.needs_folder]
PUBLISHED = [spec.name for spec in DATASETS.values() if spec.official]


def load_made_up(name, root, **arguments):
    """Load a dataset from made-up files, which cannot have the published checksums."""
    return load_dataset(name, root=root, checksum=False, **arguments)


def splits_of(dataset):
    return dict(zip(dataset.samples["sample_id"], dataset.samples["split"], strict=True))


def each_dataset():
    """Every dataset; 8,000 toy faces take seconds to draw."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] * name.startswith("toyfaces"))
        for name in DATASETS
    ]


@pytest.fixture(scope="module", params=each_dataset())
def loaded(request, tmp_path_factory):
    """Every dataset, loaded once for all tests of this file."""
    spec, folder = DATASETS[request.param], tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RBCORE_CACHE", str(folder / "cache"))
        root = LAYOUTS[spec.name].write(folder / "files") if spec.needs_folder else None
        return spec, root, load_made_up(spec.name, root)


def test_images_lie_in_the_unit_range(loaded):
    spec, _, dataset = loaded
    rows = np.concatenate([dataset.rows("train"), dataset.rows("test")])[:500]
    pixels = dataset.pixels(rows)
    assert pixels.dtype == np.float32
    assert pixels.shape == (len(rows), *dataset.input_shape)
    assert dataset.input_shape == (spec.channels, spec.default_size, spec.default_size)
    assert pixels.min() >= 0 and pixels.max() <= 1 and pixels.std() > 0.01
    assert len(dataset.mean) == len(dataset.std) == spec.channels


def test_splits_are_disjoint_and_of_the_expected_size(loaded):
    spec, _, dataset = loaded
    train, test = set(dataset.rows("train")), set(dataset.rows("test"))
    assert not train & test
    assert train | test == set(range(len(dataset.samples)))
    if spec.name in LAYOUTS:
        assert (len(train), len(test)) == (LAYOUTS[spec.name].n_train, LAYOUTS[spec.name].n_test)
    else:
        assert abs(len(test) / len(dataset.samples) - 0.2) < 0.01
        assert spec.n_train in (None, len(train)) and spec.n_test in (None, len(test))


def test_samples_carry_labels_and_partitions(loaded):
    spec, _, dataset = loaded
    samples = dataset.samples
    assert samples["sample_id"].is_unique
    assert dataset.classes == spec.classes or spec.is_open
    assert set(samples["label"]) == set(range(len(dataset.classes)))
    assert (samples["class"] == samples["label"].map(dict(enumerate(dataset.classes)))).all()
    assert spec.partitions[0] == dataset.partitions[0] == "class"
    assert dataset.partitions == tuple(partition_names(samples.drop(columns="split")))
    codes = {
        by for by in dataset.partitions if is_numeric_dtype(samples[by])
    }  # made-up faces have five ages only
    assert set(spec.partitions) == set(dataset.partitions) - codes
    for by in dataset.partitions:
        assert group_labels(samples, by).nunique() > 1


def test_fingerprint_follows_the_content_only(loaded, tmp_path):
    """Another seed is other content where it draws the split, and the same where the
    split is published.
    """
    spec, root, dataset = loaded
    assert load_made_up(spec.name, root).fingerprint == dataset.fingerprint
    reseeded = load_made_up(spec.name, root, seed=1)
    is_same_split = splits_of(reseeded) == splits_of(dataset)
    assert (reseeded.fingerprint == dataset.fingerprint) == is_same_split
    assert not np.array_equal(reseeded.rows("train"), dataset.rows("train"))
    if root is not None:
        linked = tmp_path / "elsewhere"
        linked.symlink_to(root)
        assert load_made_up(spec.name, linked).fingerprint == dataset.fingerprint


def test_another_size_or_a_refusal(loaded):
    spec, root, dataset = loaded
    if spec.needs_folder:
        smaller = load_made_up(spec.name, root, size=12)
        assert smaller.images.shape == (len(dataset.samples), spec.channels, 12, 12)
        assert list(smaller.samples["sample_id"]) == list(dataset.samples["sample_id"])
        assert smaller.fingerprint != dataset.fingerprint
    with pytest.raises(DatasetError, match="4001"):
        load_made_up(spec.name, root, size=4001)


def test_first_rows_are_a_fair_draw(loaded):
    """``--limit`` takes the first rows: they must not be sorted by anything a reader
    could group by.
    """
    _, _, dataset = loaded
    labels = dataset.labels(dataset.rows("train"))
    assert len(set(labels[:20])) > 1
    assert (np.diff(dataset.rows("train")) < 0).any()


def test_says_where_it_comes_from(loaded):
    spec, root, _ = loaded
    assert spec.source and spec.license and spec.caution and spec.title
    if root is not None:
        load_made_up(spec.name, root)
        assert any(letter.isdigit() for letter in count_on_disk(spec))


@pytest.mark.parametrize("name", IN_FOLDERS)
def test_a_missing_or_empty_folder_is_named(name, tmp_path, monkeypatch):
    spec = DATASETS[name]
    with pytest.raises(DatasetError, match=f"needs the folder .*{spec.folder_variable}"):
        load_dataset(name)
    assert count_on_disk(spec) == "folder not set"
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        load_dataset(name, root=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty "):
        load_dataset(name, root=tmp_path / "empty")
    assert known_folder(spec) is None  # what did not work is not remembered
    monkeypatch.setenv(spec.folder_variable, str(tmp_path / "nowhere"))
    assert known_folder(spec) == tmp_path / "nowhere"
    assert any(word in count_on_disk(spec) for word in ("nothing found", "0 "))


@pytest.mark.parametrize("name", IN_FOLDERS)
def test_the_folder_comes_from_the_environment_or_is_remembered(name, tmp_path, monkeypatch):
    root = LAYOUTS[name].write(tmp_path / "files")
    monkeypatch.setenv(DATASETS[name].folder_variable, str(root))
    first = load_dataset(name, checksum=False, size=12).fingerprint
    monkeypatch.delenv(DATASETS[name].folder_variable)
    assert known_folder(DATASETS[name]) is None
    assert load_dataset(name, root=root, size=12).fingerprint == first
    assert load_dataset(name, size=12).fingerprint == first


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_that_are_not_the_published_ones_need_a_word(name, tmp_path):
    root = LAYOUTS[name].write(tmp_path / "files")
    first = DATASETS[name].official.files[0]
    with pytest.raises(
        DatasetError, match=rf"{first.name} is not the published file .*{first.md5}.*--no-checksum"
    ):
        load_dataset(name, root=root, size=12)
    load_dataset(name, root=root, size=12, checksum=False)
    load_dataset(name, root=root, size=12)  # the word is remembered with the folder ...
    load_dataset(name, size=12)
    with pytest.raises(DatasetError, match="not the published file"):
        load_dataset(name, size=12, checksum=True)
    moved = root.rename(tmp_path / "moved")
    with pytest.raises(DatasetError, match="not the published file"):
        load_dataset(name, root=moved, size=12)  # ... and with no other
