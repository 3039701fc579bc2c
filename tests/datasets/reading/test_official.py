"""Downloads: from files and a server of this machine, since tests must not need the internet."""

import hashlib
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.layouts import write_cifar10, write_fashion_mnist
from rbcore.datasets import DATASETS, known_folder, load_dataset
from rbcore.datasets.reading.official import Archive, Official, OfficialFile, md5_of_file
from rbcore.errors import DatasetError
from rbcore.runtime import no_progress


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def server(tmp_path):
    """Serve a folder on 127.0.0.1."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def publish_cifar10(folder, url):
    """Pack made-up batches as the real ones are packed, and return what is published about them."""
    source = write_cifar10(folder / "source")
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as packed:
        packed.add(source / "cifar-10-batches-py", "cifar-10-batches-py")
    inner = source / "cifar-10-batches-py"
    real = DATASETS["cifar10"].official
    files = tuple(
        OfficialFile(file.name, md5_of_file(inner / file.name, inner)) for file in real.files
    )
    archive = Archive(
        f"{url}/cifar-10-python.tar.gz", md5_of_file(folder / "cifar-10-python.tar.gz", folder)
    )
    return replace(real, files=files, archives=(archive,))


def with_official(monkeypatch, name, official):
    monkeypatch.setitem(DATASETS._items, name, replace(DATASETS[name], official=official))


@pytest.mark.parametrize("where", ["file", "http"])
def test_cifar10_is_fetched_checked_unpacked_and_remembered(server, tmp_path, monkeypatch, where):
    folder, url = server
    with_official(
        monkeypatch, "cifar10", publish_cifar10(folder, folder.as_uri() if where == "file" else url)
    )
    calls = []
    target = tmp_path / "target"
    dataset = load_dataset(
        "cifar10", root=target, download=True, progress=lambda *call: calls.append(call)
    )
    assert len(dataset.samples) == 120
    assert [path.name for path in target.iterdir()] == ["cifar-10-batches-py"]
    downloads = [call for call in calls if "downloading" in call[2]]
    assert downloads[-1][0] == downloads[-1][1] and all(
        done < total for done, total, _ in downloads[:-1]
    )
    (folder / "cifar-10-python.tar.gz").unlink()
    assert (
        load_dataset("cifar10", download=True).fingerprint == dataset.fingerprint
    )  # nothing is missing, nothing is fetched


def test_without_a_folder_it_goes_into_the_cache(server, cache, monkeypatch):
    folder, url = server
    with_official(monkeypatch, "cifar10", publish_cifar10(folder, url))
    load_dataset("cifar10", download=True)
    assert known_folder(DATASETS["cifar10"]) == (cache / "datasets" / "originals").resolve()
    load_dataset("cifar10")


def test_files_that_are_there_are_left_as_they_are(server, tmp_path, monkeypatch):
    folder, url = server
    with_official(monkeypatch, "cifar10", publish_cifar10(folder, url))
    mine = write_cifar10(tmp_path / "mine", n=10)
    batch = mine / "cifar-10-batches-py" / "data_batch_1"
    (mine / "cifar-10-batches-py" / "data_batch_2").unlink()
    before = batch.read_bytes()
    with pytest.raises(DatasetError, match="data_batch_1 is not the published file"):
        load_dataset("cifar10", root=mine, download=True)
    assert (
        batch.read_bytes() == before and (mine / "cifar-10-batches-py" / "data_batch_2").is_file()
    )


def test_an_archive_fetched_by_hand_is_used_and_kept(server, tmp_path, monkeypatch):
    folder, _ = server
    with_official(monkeypatch, "cifar10", publish_cifar10(folder, "http://127.0.0.1:9"))
    load_dataset("cifar10", root=folder, download=True)
    assert (folder / "cifar-10-python.tar.gz").is_file()


def test_single_files_are_fetched_as_they_are(server, tmp_path, monkeypatch):
    folder, url = server
    inner = write_fashion_mnist(folder) / "FashionMNIST" / "raw"
    files = tuple(
        OfficialFile(file.name, md5_of_file(inner / file.name, inner))
        for file in DATASETS["fashion_mnist"].official.files
    )
    archives = tuple(Archive(f"{url}/FashionMNIST/raw/{file.name}", file.md5) for file in files)
    with_official(
        monkeypatch,
        "fashion_mnist",
        replace(DATASETS["fashion_mnist"].official, files=files, archives=archives),
    )
    assert len(load_dataset("fashion_mnist", root=tmp_path / "target", download=True).samples) == 60


def test_another_file_than_the_published_one_is_not_kept(server, tmp_path, monkeypatch):
    folder, url = server
    official = publish_cifar10(folder, url)
    with_official(
        monkeypatch,
        "cifar10",
        replace(official, archives=(replace(official.archives[0], md5="0" * 32),)),
    )
    with pytest.raises(
        DatasetError,
        match=r"What came from http.* is not the published file \(MD5 .*, published 0000",
    ):
        load_dataset("cifar10", root=tmp_path / "target", download=True)
    assert not [path for path in (tmp_path / "target").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x.tar.gz",
        "http://does-not-exist.invalid/x.tar.gz",
        "file:///nowhere/x.tar.gz",
    ],
)
def test_offline_is_one_sentence_with_the_remedy(tmp_path, monkeypatch, url):
    real = DATASETS["cifar10"].official
    with_official(monkeypatch, "cifar10", replace(real, archives=(Archive(url, "0" * 32),)))
    with pytest.raises(
        DatasetError,
        match=rf"^CIFAR-10 could not be downloaded from {url} \(.*\); get it .*kriz.* --root\.$",
    ):
        load_dataset("cifar10", root=tmp_path, download=True)
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and "cache" not in path.parts
    ]


def test_a_missing_page_is_said(server, tmp_path):
    _, url = server
    official = Official(
        "inside", (OfficialFile("a", ""),), (Archive(f"{url}/gone.tar.gz", ""),), "https://page"
    )
    with pytest.raises(DatasetError, match="gone.tar.gz .File not found"):
        official.download(tmp_path, "It", no_progress)


@pytest.mark.parametrize("kind", ["no archive", "half", "missing", "link"])
def test_archives_write_nothing_but_the_named_files(tmp_path, kind):
    """Whatever paths and links an archive holds, only the published names are read from it."""
    source = write_cifar10(tmp_path / "source") / "cifar-10-batches-py"
    path = tmp_path / "made.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(source / "test_batch", "../escaped")
        if kind == "link":
            link = tarfile.TarInfo("inside/a")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            packed.addfile(link)
        elif kind == "half":
            packed.add(source / "test_batch", "inside/a")
    if kind == "no archive":
        path.write_bytes(b"x")
    elif kind == "half":
        path.write_bytes(path.read_bytes()[:-5000])
    archive = Archive(path.as_uri(), hashlib.md5(path.read_bytes()).hexdigest())  # noqa: S324
    target = tmp_path / "target" / "deep"
    with pytest.raises(DatasetError, match="does not hold what was published"):
        Official("inside", (OfficialFile("a", ""),), (archive,), "https://page").download(
            target, "It", no_progress
        )
    assert not (target / "inside" / "a").exists()
    assert not [found for found in (tmp_path / "target").rglob("*") if found.is_file()]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits", "need no download"),
        ("utkface", "UTKFace cannot be fetched by a program; get it from its source"),
        ("celeba", "CelebA cannot be fetched by a program; get it from https://mmlab"),
        ("adience", "Adience cannot be fetched"),
        ("folder", "cannot be fetched"),
    ],
)
def test_what_no_program_can_fetch_is_said(name, message):
    with pytest.raises(DatasetError, match=message):
        load_dataset(name, download=True)
