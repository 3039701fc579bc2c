import shutil

import numpy as np
import pytest

from benchmarks.layouts import write_noise_image
from rbcore.datasets.reading import decoded
from rbcore.errors import StoreError
from rbcore.runtime import no_progress
from tests.damage import damages


def files_in(folder, n=4):
    return {f"{i}.jpg": write_noise_image(folder / f"{i}.jpg", seed=i) for i in range(n)}


def test_too_little_room_is_said_before_anything_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 1000, 1000)
    )
    with pytest.raises(
        StoreError,
        match=r"take 0\.0 GB but .* has 0\.0 GB left; choose a smaller size or set RBCORE_CACHE",
    ):
        decoded.decode_files("x", files_in(tmp_path), 64, no_progress, root=tmp_path)


def test_a_stop_while_decoding_leaves_nothing_behind(tmp_path, cache):
    def stop(done, total, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoded.decode_files("x", files_in(tmp_path), 64, stop, root=tmp_path)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_images_are_mapped_not_read(tmp_path):
    found = decoded.decode_files("x", files_in(tmp_path), 20, no_progress, root=tmp_path)
    assert (
        isinstance(found.images, np.memmap)
        and found.images.dtype == np.uint8
        and found.names == list(files_in(tmp_path))
    )


def test_files_that_vanish_are_named_and_not_remembered(tmp_path):
    files = files_in(tmp_path)
    files["1.jpg"].rename(tmp_path / "away")
    found = decoded.decode_files("x", files, 20, no_progress, root=tmp_path)
    assert found.names == ["0.jpg", "2.jpg", "3.jpg"]
    assert [(skip.file, skip.reason) for skip in found.broken] == [
        ("1.jpg", "the file cannot be opened (No such file or directory)")
    ]
    (tmp_path / "away").rename(files["1.jpg"])
    assert decoded.decode_files("x", files, 20, no_progress, root=tmp_path).names == list(files)


def test_nothing_usable_is_an_empty_array(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    for _ in range(2):
        found = decoded.decode_files(
            "x", {"a.jpg": tmp_path / "a.jpg"}, 20, no_progress, root=tmp_path
        )
        assert found.images.shape == (0, 3, 20, 20) and len(found.broken) == 1
    assert decoded.decode_files("x", {}, 20, no_progress, root=tmp_path).images.shape == (
        0,
        3,
        20,
        20,
    )


def test_damaged_pixels_are_decoded_again(tmp_path, cache):
    files = files_in(tmp_path)
    whole = decoded.decode_files("x", files, 8, no_progress, root=tmp_path)
    expected, digest = np.array(whole.images), whole.sha256
    del whole
    for path in sorted((cache / "datasets").iterdir()):
        for what in damages(path, 25):
            again = decoded.decode_files("x", files, 8, no_progress, root=tmp_path)
            assert (again.images == expected).all() and (again.sha256, again.names) == (
                digest,
                list(files),
            ), what


def test_an_array_of_another_dataset_is_not_taken_for_it(tmp_path, cache):
    one = np.array(
        decoded.decode_files("x", files_in(tmp_path / "one"), 8, no_progress, root=tmp_path).images
    )
    (array,) = (cache / "datasets").glob("*.npy")
    other = {
        f"{i}.jpg": write_noise_image(tmp_path / "two" / f"{i}.jpg", seed=9 + i) for i in range(4)
    }
    expected = np.array(decoded.decode_files("y", other, 8, no_progress, root=tmp_path).images)
    (stranger,) = (cache / "datasets").glob("y-*.npy")
    shutil.copy(stranger, array)
    assert (expected != one).any()
    assert (
        decoded.decode_files("x", files_in(tmp_path / "one"), 8, no_progress, root=tmp_path).images
        == one
    ).all()
