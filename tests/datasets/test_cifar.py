import shutil

import numpy as np
import pytest
from PIL import Image

from benchmarks.layouts import noise_rows, write_cifar10, write_cifar100, write_pickle
from rbcore.datasets import cifar, load_dataset
from rbcore.datasets.reading.safe_pickle import read_batch
from rbcore.errors import DatasetError


def test_rows_keep_their_published_place_and_pixels(tmp_path):
    """Row 3 of the third batch is row 20,003 of the training images, also where batches are shorter
    than published.
    """
    write_cifar10(tmp_path)
    dataset = load_dataset("cifar10", root=tmp_path, checksum=False)
    (row,) = dataset.rows_of(["cifar10-train-20003"])
    np.testing.assert_array_equal(dataset.images[row].ravel(), noise_rows(20, 2)[3])
    assert dataset.samples.loc[row, ["split", "label", "class"]].tolist() == ["train", 3, "cat"]
    (row,) = dataset.rows_of(["cifar10-test-00017"])
    np.testing.assert_array_equal(dataset.images[row].ravel(), noise_rows(20, 5)[17])
    assert dataset.samples.loc[row, ["split", "label"]].tolist() == ["test", 7]


def test_both_labels_of_cifar100_are_partitions(tmp_path):
    write_cifar100(tmp_path)
    fine = load_dataset("cifar100", root=tmp_path, checksum=False).samples
    coarse = load_dataset("cifar100super", root=tmp_path, checksum=False).samples
    assert list(fine["class"]) == list(coarse["fine"]) and list(fine["coarse"]) == list(
        coarse["class"]
    )
    assert fine["label"].iat[139] == 39 and fine["class"].iat[139] == "keyboard"
    assert coarse["label"].iat[139] == 19 and coarse["class"].iat[139] == "vehicles_2"


def test_the_folder_of_batches_itself_may_be_named(tmp_path):
    write_cifar10(tmp_path)
    outer = load_dataset("cifar10", root=tmp_path, checksum=False)
    inner = load_dataset("cifar10", root=tmp_path / "cifar-10-batches-py", checksum=False)
    assert outer.fingerprint == inner.fingerprint


def test_another_size_is_pillows_bilinear_of_each_image(tmp_path):
    write_cifar10(tmp_path)
    calls = []
    small, large = (
        load_dataset(
            "cifar10",
            root=tmp_path,
            checksum=False,
            size=size,
            progress=lambda *call: calls.append(call),
        )
        for size in (32, 48)
    )
    image = Image.fromarray(small.images[7].transpose(1, 2, 0)).resize(
        (48, 48), Image.Resampling.BILINEAR
    )
    np.testing.assert_array_equal(large.images[7], np.asarray(image).transpose(2, 0, 1))
    assert calls[-1] == (120, 120, "decoding images at 48 px")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "data_batch_2",
            {"data": noise_rows(20, 0)[:, :100], "labels": [0] * 20},
            "data_batch_2 holds no rows of 3 x 32 x 32",
        ),
        ("data_batch_2", {"labels": [0] * 20}, "data_batch_2 holds no rows of 3 x 32 x 32"),
        (
            "test_batch",
            {"data": noise_rows(20, 0), "labels": [0] * 19},
            "test_batch does not hold 20 labels",
        ),
        ("test_batch", {"data": noise_rows(20, 0)}, "test_batch does not hold 20 labels"),
        (
            "test_batch",
            {"data": noise_rows(3, 0), "labels": [0, 10, 1]},
            "the label 10 in row 1, where 0 to 9 are known",
        ),
        ("test_batch", {"data": noise_rows(3, 0), "labels": [0, 1, -1]}, "the label -1 in row 2"),
        (
            "test_batch",
            {"data": noise_rows(3, 0), "labels": [True, 1, 2]},
            "the label True in row 0",
        ),
        (
            "batches.meta",
            {"label_names": ["cat"]},
            "batches.meta does not name the 10 classes of CIFAR-10",
        ),
    ],
)
def test_batches_that_make_no_sense_are_named(tmp_path, file, content, message):
    write_pickle(write_cifar10(tmp_path) / "cifar-10-batches-py" / file, content)
    with pytest.raises(DatasetError, match=message):
        load_dataset("cifar10", root=tmp_path, checksum=False)


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("checksum", [True, False])
def test_a_missing_file_is_named(tmp_path, file, checksum):
    folder = write_cifar10(tmp_path) / "cifar-10-batches-py"
    (folder / file).unlink()
    if checksum:  # what is checked first must not hide what is missing
        for other in cifar.BATCHES_10:
            (folder / other).unlink(missing_ok=True)
        (folder / "batches.meta").write_bytes(b"")
    with pytest.raises(DatasetError, match="lacks the file "):
        load_dataset("cifar10", root=tmp_path, checksum=checksum)


def test_the_real_rows(shared_data, tmp_path):
    """Counts of the archive, and what is in the first test image: a cat, in the official order."""
    root = shared_data / "cifar"
    with pytest.raises(
        DatasetError, match=r"data_batch_1 is not the published file \(MD5 cf0ea6f0"
    ):
        load_dataset("cifar10", root=root)
    ten = load_dataset("cifar10", root=root, checksum=False)
    assert (len(ten.rows("train")), len(ten.rows("test"))) == (5170, 1017)
    first = ten.samples[ten.samples["split"] == "test"].head(5)
    assert list(first["class"]) == ["cat", "ship", "ship", "airplane", "frog"]
    assert first["sample_id"].iat[0] == "cifar10-test-00000"
    hundred, coarse = (
        load_dataset(name, root=root, checksum=False) for name in ("cifar100", "cifar100super")
    )
    assert (len(hundred.rows("train")), len(hundred.rows("test"))) == (486, 916)
    assert coarse.samples.groupby("fine")["class"].nunique().max() == 1
    pairs = set(zip(coarse.samples["class"], coarse.samples["fine"], strict=True))
    assert {("people", "baby"), ("trees", "oak_tree"), ("vehicles_2", "tank")} <= pairs
    # The file of the classes' names is the published one, so these names and its checksum are those
    # of the real dataset.
    folder = tmp_path / "cifar-100-python"
    shutil.copytree(root / "cifar-100-python", folder)
    assert tuple(read_batch(folder / "meta", folder)["fine_label_names"]) == cifar.FINE
