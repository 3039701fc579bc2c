import gzip

import numpy as np
import pytest

from benchmarks.layouts import idx, write_fashion_mnist
from rbcore.datasets import load_dataset
from rbcore.errors import DatasetError

IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


def test_rows_keep_their_place_and_pixels(tmp_path):
    write_fashion_mnist(tmp_path)
    dataset = load_dataset("fashion_mnist", root=tmp_path, checksum=False)
    (row,) = dataset.rows_of(["fashion_mnist-test-00009"])
    np.testing.assert_array_equal(
        dataset.images[row, 0], np.random.default_rng(20).integers(0, 256, (20, 28, 28))[9]
    )
    assert dataset.samples.loc[row, ["split", "class"]].tolist() == ["test", "Ankle boot"]


def test_unpacked_files_in_the_folder_itself_hold_the_same_but_have_no_checksum(tmp_path):
    folder = write_fashion_mnist(tmp_path) / "FashionMNIST" / "raw"
    before = load_dataset("fashion_mnist", root=tmp_path, checksum=False).fingerprint
    for path in list(folder.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    with pytest.raises(
        DatasetError,
        match=r"train-images-idx3-ubyte is an unpacked file, .* train-images-idx3-ubyte\.gz beside",
    ):
        load_dataset("fashion_mnist", root=folder)
    assert load_dataset("fashion_mnist", root=folder, checksum=False).fingerprint == before


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (IMAGES, b"no gzip", f"{IMAGES} cannot be read"),
        (IMAGES, gzip.compress(idx(np.zeros((20, 28, 28))))[:-20], f"{IMAGES} cannot be read"),
        (IMAGES, gzip.compress(b"ab"), f"{IMAGES} is not an IDX file"),
        (IMAGES, gzip.compress(idx(np.zeros((20, 27, 28)))), f"{IMAGES} is not an IDX file"),
        (
            IMAGES,
            gzip.compress(idx(np.zeros((20, 28, 28))) + b"more"),
            f"{IMAGES} is not an IDX file",
        ),
        (IMAGES, gzip.compress(idx(np.zeros(20))), f"{IMAGES} is not an IDX file"),
        (
            IMAGES,
            gzip.compress(b"\0\0\x08\x03" + bytes(12) + bytes(20_000_000)),
            "at most 10,000 items",
        ),
        (
            LABELS,
            gzip.compress(idx(np.zeros(19))),
            f"{LABELS} does not hold a label from 0 to 9 for each image",
        ),
        (
            LABELS,
            gzip.compress(idx(np.full(20, 10))),
            f"{LABELS} does not hold a label from 0 to 9",
        ),
    ],
    ids=lambda value: (
        "bytes" if isinstance(value, bytes) else None
    ),  # a gzip file holds the time it was made
)
def test_damaged_files_are_named(tmp_path, file, content, message):
    (write_fashion_mnist(tmp_path) / "FashionMNIST" / "raw" / file).write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        load_dataset("fashion_mnist", root=tmp_path, checksum=False)


def test_a_missing_file_is_named(tmp_path):
    (write_fashion_mnist(tmp_path) / "FashionMNIST" / "raw" / LABELS).unlink()
    with pytest.raises(DatasetError, match=LABELS):
        load_dataset("fashion_mnist", root=tmp_path, checksum=False)
