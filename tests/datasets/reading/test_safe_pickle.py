"""A pickle is a program: these must be refused before any of them does anything."""

import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from rbcore.datasets.reading.safe_pickle import read_batch
from rbcore.errors import DatasetError


class Runs:
    """Unpickling this calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def written(tmp_path, content, protocol=2):
    path = tmp_path / "batch"
    path.write_bytes(
        content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol)
    )
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["alone", "value", "key", "in a list"])
def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path, protocol, place):
    flag = tmp_path / "it ran"
    bomb = Runs(os.system, f"touch '{flag}'")
    content = {
        "alone": bomb,
        "value": {"data": bomb},
        "key": {bomb: 1},
        "in a list": {"labels": [1, bomb]},
    }[place]
    path = written(tmp_path, content, protocol)
    with pytest.raises(
        DatasetError,
        match=r"batch was not read: it asks for posix\.system, which no CIFAR batch does",
    ):
        read_batch(path, path.parent)
    assert not flag.exists()
    if place == "alone":
        pickle.loads(path.read_bytes())  # plain unpickling would have run it  # noqa: S301
        assert flag.exists()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (eval, ("1",)),
        (getattr, ("", "join")),
        (np.load, ("x", None, True)),
        (np.frombuffer, (b"x",)),
        (Path, ("x",)),
        (bytearray, (10**10,)),
    ],
)
def test_no_other_function_is_called_however_harmless(tmp_path, function, arguments):
    with pytest.raises(DatasetError, match="it asks for"):
        read_batch(written(tmp_path, {"data": Runs(function, *arguments)}), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        # An encoding is a module to import.
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.",
        # Sets an attribute of what stands in for ndarray.
        b"cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",
        b"c_codecs\nencode\n(N}X\x08\x00\x00\x00__name__K\x01stb.",
        b"cnumpy\ndtype\n(X\x02\x00\x00\x00O8K\x00K\x01tR.",  # objects
        b"Pperson\n.",
        b"\x82\x01.",
        b"",
        b"this is text",
        b"\x80\x05",
        pickle.dumps(np.arange(3), protocol=2),
        pickle.dumps({"data": np.arange(3.0)}, protocol=2),
        pickle.dumps({"data": np.array([{}])}, protocol=2),
        pickle.dumps({1: 2}, protocol=2),
        pickle.dumps({"data": np.zeros((2, 3), np.uint8)}, protocol=2)[:-20],
    ],
)
def test_what_is_no_batch_is_refused(tmp_path, content):
    with pytest.raises(
        DatasetError,
        match=r"batch (is not a CIFAR batch|was not read).*Replace it by the published file",
    ):
        read_batch(written(tmp_path, content), tmp_path)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_batches_are_read_as_numpy_would(tmp_path, protocol, order):
    data = np.asarray(
        np.random.default_rng(0).integers(0, 256, (5, 7), dtype=np.uint8), order=order
    )
    content = {"data": data, "labels": [1, 2], "batch_label": "one", "none": None, "pair": (1, 2.5)}
    for old, new in ((b"", b""), (b"numpy._core.multiarray", b"numpy.core.multiarray")):
        path = written(
            tmp_path,
            pickle.dumps(content, protocol=protocol).replace(old, new) if protocol < 4 else content,
        )
        found = read_batch(path, path.parent)
        np.testing.assert_array_equal(found.pop("data"), data)
        assert found == {name: value for name, value in content.items() if name != "data"}


def test_python_2_wrote_bytes_as_text(tmp_path):
    """The published batches are of that kind: SHORT_BINSTRING for names and for
    the array's bytes.
    """
    batch = (
        b"\x80\x02}(U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
        b"(K\x00tU\x01btR(K\x01(K\x02K\x02tcnumpy\ndtype\n"
        b"(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x04\x00\x7f\x80\xfftbU\x06labels](K\x05K\x06eu."
    )
    found = read_batch(written(tmp_path, batch), tmp_path)
    assert found["labels"] == [5, 6] and found["data"].tolist() == [[0, 127], [128, 255]]


@pytest.mark.parametrize(
    "content",
    [
        b"}r" + (2**31).to_bytes(4, "little") + b"0.",  # a memo of 2**31 entries took gigabytes
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".",  # an array of 2**40 bytes
        b"\x8e" + (2**40).to_bytes(8, "little") + b"x.",
        b"}(K\x01"
        + b"K\x01\x86"
        + b"2\x86" * 200
        + b"K\x01u.",  # a tuple whose hash takes 2**200 steps
        b"K\x01" * 1_000_001 + b".",
    ],
)
def test_no_few_bytes_take_much_memory_or_time(tmp_path, content):
    path = written(tmp_path, content)
    tracemalloc.start()
    with pytest.raises(DatasetError, match="Replace it by the published file"):
        read_batch(path, tmp_path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50 * 2**20
