import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.layouts import (
    write_adience,
    write_celeba,
    write_cifar10,
    write_class_folders,
    write_faces,
    write_fashion_mnist,
    write_noise_image,
)
from rbcore.datasets import load_dataset
from rbcore.datasets.reading.opening import decode_text, open_below, read_below
from rbcore.errors import DatasetError, StoreError


def test_regular_files_below_the_root_are_opened_and_nothing_else(tmp_path):
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in" / "a.txt").write_bytes(b"inside")
    (tmp_path / "b.txt").write_bytes(b"outside")
    (root / "good").symlink_to(root / "in" / "a.txt")
    (root / "bad").symlink_to(tmp_path / "b.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "circle").symlink_to(root / "circle")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(root / "socket"))
    (root / "device").symlink_to("/dev/zero")
    (tmp_path / "linked").symlink_to(root)
    for name in ("in/a.txt", "good"):
        assert (
            read_below(root / name, root)
            == b"inside"
            == read_below(tmp_path / "linked" / name, tmp_path / "linked")
        )
    for name, reason in (
        *(
            ("bad", "outside"),
            ("up/b.txt", "outside"),
            ("device", "outside"),
            ("../b.txt", "outside"),
        ),
        *(
            ("pipe", "pipe, socket or device"),
            ("socket", "pipe, socket or device"),
            ("in", "it is a folder"),
        ),
        *(
            ("absent", "No such file"),
            ("x" * 5000, "too long"),
            ("circle", "Too many levels"),
            ("a\0b", "null"),
        ),
    ):
        with pytest.raises(OSError, match=reason):
            open_below(root / name, root)
    with pytest.raises(OSError, match="pipe, socket or device"):
        open_below(Path("/dev/zero"), Path("/dev"))
    with pytest.raises(OSError, match="larger than 0 MB"):
        read_below(root / "good", root, most=5)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_of_every_spreadsheet_is_read(encoding):
    text = "file;é;日本\r\n"
    assert decode_text(text.encode(encoding)) == text


WRITERS = {
    "folder": (write_class_folders, "cat/0.jpg", "metadata.csv"),
    "utkface": (write_faces, "5_0_0_20170100000000000.jpg.chip.jpg", None),
    "adience": (write_adience, "aligned/*/*.jpg", "fold_2_data.txt"),
    "celeba": (write_celeba, "**/img_align_celeba/000001.jpg", "list_attr_celeba.txt"),
    "cifar10": (write_cifar10, None, "test_batch"),
    "fashion_mnist": (write_fashion_mnist, None, "t10k-labels-idx1-ubyte.gz"),
}


def found(root, pattern):
    return sorted(root.rglob(pattern))[0]


def load(name, root):
    return load_dataset(
        name,
        root=root,
        size=16,
        checksum=False if name in ("cifar10", "fashion_mnist", "celeba") else None,
    )


@pytest.mark.parametrize("kind", ["pipe", "link"])
@pytest.mark.parametrize("name", [name for name, facts in WRITERS.items() if facts[1]])
def test_a_pipe_or_a_link_outside_among_the_images_is_named_and_not_opened(tmp_path, name, kind):
    """A pipe used to block for ever, and a link to show a file of somebody else."""
    write, image, _ = WRITERS[name]
    root = tmp_path / "root"
    root.mkdir()
    write(root)
    before = load(name, root)
    path = found(root, image)
    path.rename(tmp_path / "away.jpg")
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(tmp_path / "away.jpg")
    after = load(name, root)
    assert len(after.samples) == len(before.samples) - 1
    (skip,) = set(after.skipped) - set(before.skipped)
    assert (
        path.name in skip.file
        and ("pipe" if kind == "pipe" else "leads outside the folder") in skip.reason
    )


@pytest.mark.parametrize("kind", ["pipe", "link"])
@pytest.mark.parametrize("name", [name for name, facts in WRITERS.items() if facts[2]])
def test_a_pipe_or_a_link_outside_in_place_of_a_table_is_refused(tmp_path, name, kind):
    write, _, table = WRITERS[name]
    root = tmp_path / "root"
    root.mkdir()
    write(root)
    path = root / table if name == "folder" else found(root, table)
    away = tmp_path / "away"
    away.write_bytes(path.read_bytes() if path.exists() else b"file,a\ncat/0.jpg,b\n")
    path.unlink(missing_ok=True)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(away)
    with pytest.raises(DatasetError, match=path.name.split(".")[0]):
        load(name, root)


def test_a_folder_of_a_user_of_adience_that_leads_outside_is_not_followed(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    write_adience(root)
    person = found(root, "aligned/*")
    n = len(list(person.iterdir()))
    shutil.move(person, tmp_path / "away")
    person.symlink_to(tmp_path / "away")
    dataset = load_dataset("adience", root=root, size=16)
    assert sum("leads outside" in skip.reason for skip in dataset.skipped) == n > 0


@pytest.mark.parametrize("name", list(WRITERS))
@pytest.mark.parametrize(
    "root", ["x" * 5000, "/" + "y/" * 3000, "a\0b", "~nobody-of-that-name/x", "/dev/null"]
)
def test_a_path_that_cannot_be_is_refused_in_a_short_sentence(name, root):
    with pytest.raises(DatasetError, match="does not exist or is not a folder") as raised:
        load_dataset(name, root=root)
    assert len(str(raised.value)) < 400


def test_a_disk_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    """As root nothing is unwritable, so the cache is put where no folder can be made."""
    write_class_folders(tmp_path / "mine")
    monkeypatch.setenv("RBCORE_CACHE", "/proc/none")
    with pytest.raises(
        StoreError,
        match=r"Cannot write /proc/none/.*Set RBCORE_CACHE to a folder that can be written",
    ):
        load_dataset("folder", root=tmp_path / "mine", size=16)


def test_a_read_only_file_system_is_named_even_while_cleaning_up(tmp_path, monkeypatch):
    """There, removing a file that is not there fails too."""
    write_class_folders(tmp_path / "mine")

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match="Read-only file system"):
        load_dataset("folder", root=tmp_path / "mine", size=16)


def test_suffixes_in_capitals_and_names_in_any_script_are_images(tmp_path):
    write_class_folders(tmp_path)
    for name in ("A.JPG", "b.JPEG", "c.Png", "日本.jpg", "é.PNG"):
        kind = "PNG" if name.lower().endswith("png") else "JPEG"
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "cat" / name, format=kind)
    assert len(load_dataset("folder", root=tmp_path, size=16).samples) == 25
    write_noise_image(tmp_path / "faces" / "25_0_1_20170100000000000.JPG")
    write_faces(tmp_path / "faces", n=9)
    assert len(load_dataset("utkface", root=tmp_path / "faces", size=16).samples) == 10
