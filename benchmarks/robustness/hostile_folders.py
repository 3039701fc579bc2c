"""Folders with what no image folder should hold: pipes, links, loops, odd names, many files."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

import rbcore as rb
from benchmarks.layouts import LAYOUTS
from benchmarks.robustness.cases import HOSTILE, SAME, WRONG, Case, Outcome, must_refuse
from benchmarks.robustness.world import World, facts_of_images

KIND, OFFICIAL = "folders", "folders of published datasets"
Put = Callable[[Path], None]
NAMES = (
    *(
        b"\x1b[31mred.png",
        b"a\nb.png",
        b"a\tb.png",
        b"\xff\xfe.png",
        b"caf\xe9.png",
        b"a\x7f.png",
        b" .png",
        b"..png",
    ),
    *(
        b"=cmd.png",
        b"<img src=x onerror=alert(1)>.png",
        b"'; drop table.png",
        b"$(id).png",
        b"%s%n.png",
        b"*.png",
        b"?.png",
    ),
    *(
        b"a:b.png",
        b"a|b.png",
        b"a\\b.png",
        "\u202egnp.png".encode(),
        b"x" * 251 + b".png",
        "\u200b.png".encode(),
        b"-rf.png",
    ),
    *(
        "\U0001f4a5.png".encode(),
        "e\u0301.png".encode(),
        b"CON.png",
        b"nul.png",
        b"0.PNG",
        b"metadata.csv.png",
        b"~.png",
    ),
)
"""Names of files, in the bytes of the disk."""


def folder_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield things beside the images, in every place; the images must stay as they are."""
    for place in ("", "train", "train/cat", "test/dog"):
        for name, put in things().items():
            yield _case(
                world,
                f"{name} in {place or 'the top'}",
                lambda root, put=put, place=place: put(root / place),
            )
    for name in NAMES:
        yield _case(
            world,
            f"a broken picture called {name!r}"[:80],
            lambda root, name=name: _name(root, "train/cat", name),
        )
        yield _case(
            world, f"a class called {name!r}"[:80], lambda root, name=name: _class(root, name)
        )
    for name, put in metadata_things().items():
        yield _case(world, name, put, attributes=False)
    yield _case(
        world,
        "20,000 files that are no pictures",
        lambda root: _many(root / "train/cat", 20_000, ".txt"),
    )
    yield _case(
        world, "3,000 empty pictures", lambda root: _many(root / "train/cat", 3_000, ".png")
    )
    yield _case(world, "3,000 empty classes", lambda root: _many_folders(root / "train", 3_000))
    for name, make in roots().items():
        yield _root_case(name, make)


def _case(world: World, name: str, put: Put, *, attributes: bool = True) -> Case:
    def make(folder: Path) -> None:
        shutil.copytree(world.images, folder / "images")
        put(folder / "images")

    def act(folder: Path) -> dict[str, Any]:
        return facts_of_images(rb.load_dataset("folder", root=folder / "images", size=16))

    def judge(found: dict[str, Any]) -> Outcome:
        right = world.facts["images"]
        if found["pixels"] != right["pixels"]:
            names = set(found["pixels"]) ^ set(right["pixels"]) or "the same names"
            return Outcome(WRONG, f"other images: {str(names)[:200]}")
        facts = ("split", "class", "camera", "age") if attributes else ("split", "class")
        for sample, row in right["samples"].items():
            if any(found["samples"][sample].get(fact) != row[fact] for fact in facts):
                return Outcome(WRONG, f"{sample}: {found['samples'][sample]} instead of {row}")
        return Outcome(SAME)

    return Case(HOSTILE, KIND, name, act, judge, make, seconds=30)


def things() -> dict[str, Put]:
    """Return what can be put into a folder that is not an image of its own."""
    return {
        "a pipe": lambda at: os.mkfifo(at / "pipe.png"),
        "a pipe called .jpg": lambda at: os.mkfifo(at / "pipe.JPG"),
        "a socket": lambda at: _socket(at / "s.png"),
        "a link to /dev/zero": lambda at: (at / "zero.png").symlink_to("/dev/zero"),
        "a link to /etc/passwd": lambda at: (at / "p.png").symlink_to("/etc/passwd"),
        "a link to itself": lambda at: (at / "loop.png").symlink_to("loop.png"),
        "a link to nothing": lambda at: (at / "gone.png").symlink_to("nosuch.png"),
        "a link to the folder above": lambda at: (at / "up").symlink_to(".."),
        "a link to the root": lambda at: (at / "root").symlink_to("/"),
        "a link to /proc": lambda at: (at / "proc").symlink_to("/proc"),
        "a folder called .png": lambda at: (at / "folder.png").mkdir(),
        "a picture outside": _outside,
        "folders 60 deep": lambda at: at.joinpath(*["d"] * 60).mkdir(parents=True),
        "a hidden file": lambda at: (at / ".hidden.png").write_bytes(b"x"),
        "a thumbnail store": lambda at: (at / "Thumbs.db").write_bytes(b"x" * 1000),
        "a file without a suffix": lambda at: (at / "README").write_text("x"),
        "an empty picture": lambda at: (at / "empty.png").write_bytes(b""),
        "a sparse picture of 3 GB": _sparse,
    }


def metadata_things() -> dict[str, Put]:
    """Return what can stand in place of ``metadata.csv``."""

    def instead(put: Put) -> Put:
        def replace(root: Path) -> None:
            (root / "metadata.csv").unlink()
            put(root / "metadata.csv")

        return replace

    return {
        "metadata.csv is a pipe": instead(lambda at: os.mkfifo(at)),
        "metadata.csv is a folder": instead(lambda at: at.mkdir()),
        "metadata.csv is a link to /dev/zero": instead(lambda at: at.symlink_to("/dev/zero")),
        "metadata.csv is a link to /etc/passwd": instead(lambda at: at.symlink_to("/etc/passwd")),
        "metadata.csv is a link to itself": instead(lambda at: at.symlink_to("metadata.csv")),
        "metadata.csv is a socket": instead(_socket),
        "metadata.csv is sparse, 3 GB": instead(lambda at: _truncated(at, 3 * 2**30)),
    }


def roots() -> dict[str, Put]:
    """Return what a root can be that holds no images at all."""
    return {
        "a root that is a file": lambda at: at.write_bytes(b"x"),
        "a root that is a pipe": lambda at: os.mkfifo(at),
        "a root that is not there": lambda at: None,
        "a root that is a loop": lambda at: at.symlink_to(at.name),
        "an empty root": lambda at: at.mkdir(),
        "a root with empty classes": lambda at: (
            [(at / name).mkdir(parents=True) for name in "ab"] and None
        ),
        "a root that is a link to /dev": lambda at: at.symlink_to("/dev"),
        "a root with train only": lambda at: (at / "train" / "a").mkdir(parents=True),
    }


def _root_case(name: str, make: Put) -> Case:
    return Case(
        HOSTILE,
        KIND,
        name,
        act=lambda folder: rb.load_dataset("folder", root=folder / "images", size=16).classes,
        judge=must_refuse,
        make=lambda folder: make(folder / "images"),
        names=("images",),
        seconds=30,
    )


def official_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield the same things within the layouts of the published datasets.

    The images must stay as they are without them.
    """
    for dataset, layout in LAYOUTS.items():
        if dataset == "folder":
            continue
        for name in (
            "a pipe",
            "a link to /dev/zero",
            "a link to itself",
            "a link to the root",
            "a picture outside",
        ):
            for where in ("the top", "the deepest folder"):
                yield _official(
                    dataset,
                    f"{name} in {where}",
                    layout.write,
                    _added(things()[name], where),
                    _all_the_same,
                )
        for name, put in replacements().items():
            for which in (0, -1):
                change = _replaced(put, which)
                yield _official(
                    dataset, f"file {which} is {name}", layout.write, change, _at_most_one_is_lost
                )


def replacements() -> dict[str, Put]:
    """Return what can stand in place of a file."""
    return {
        "a pipe": os.mkfifo,
        "a link to /dev/zero": lambda at: at.symlink_to("/dev/zero"),
        "empty": lambda at: at.write_bytes(b"") and None,
        "zeros": lambda at: at.write_bytes(bytes(10_000)) and None,
        "sparse, 3 GB": lambda at: _truncated(at, 3 * 2**30),
        "a folder": lambda at: at.mkdir(),
    }


def _official(
    dataset: str, name: str, write: Callable[[Path], Path], change: Put, judge: Any
) -> Case:
    """Return the case of a dataset's made-up files that are changed.

    ``judge`` compares with what they were.
    """

    def read(folder: Path) -> dict[str, Any]:
        return facts_of_images(rb.load_dataset(dataset, root=folder / "files", checksum=False))

    def make(folder: Path) -> None:
        write(folder / "files")
        os.environ["RBCORE_CACHE"] = str(folder / "before")
        (folder / "right.json").write_text(json.dumps(read(folder)))
        os.environ["RBCORE_CACHE"] = str(folder / "cache")
        change(folder / "files")

    def act(folder: Path) -> Any:
        return json.loads((folder / "right.json").read_text()), read(folder)

    return Case(
        HOSTILE, OFFICIAL, f"{dataset}: {name}", act, lambda found: judge(*found), make, seconds=30
    )


def _added(put: Put, where: str) -> Put:
    def change(root: Path) -> None:
        folders = [path for path in root.rglob("*") if path.is_dir()]
        put(
            max(folders, key=lambda path: len(path.parts), default=root)
            if where == "the deepest folder"
            else root
        )

    return change


def _replaced(put: Put, which: int) -> Put:
    def change(root: Path) -> None:
        file = sorted(path for path in root.rglob("*") if path.is_file())[which]
        file.unlink()
        put(file)

    return change


def _all_the_same(right: dict[str, Any], now: dict[str, Any]) -> Outcome:
    return Outcome(SAME) if now == right else Outcome(WRONG, "other images")


def _at_most_one_is_lost(right: dict[str, Any], now: dict[str, Any]) -> Outcome:
    if any(now["pixels"][sample] != right["pixels"].get(sample) for sample in now["pixels"]):
        return Outcome(WRONG, "other pixels")
    lost = set(right["pixels"]) - set(now["pixels"])
    return Outcome(SAME) if len(lost) <= 1 else Outcome(WRONG, f"{len(lost)} images are lost")


def _socket(at: Path) -> None:
    here = Path.cwd()
    os.chdir(at.parent)  # the path of a socket may have 107 letters
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(at.name)
    os.chdir(here)


def _outside(at: Path) -> None:
    outside = Path(os.environ["RBCORE_CACHE"]).parent / "outside.jpg"
    Image.new("RGB", (20, 20), "red").save(outside)
    (at / "50_1_1_20170109171234567.jpg").symlink_to(outside)


def _sparse(at: Path) -> None:
    _truncated(at / "sparse.png", 3 * 2**30)


def _truncated(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _name(root: Path, place: str, name: bytes) -> None:
    path = os.path.join(os.fsencode(root / place), name)  # noqa: PTH118  (bytes that are no text)
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"no picture")


def _class(root: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(root / "train"), name)  # noqa: PTH118
    os.mkdir(path)  # noqa: PTH102
    with open(os.path.join(path, b"x.png"), "wb") as file:  # noqa: PTH118, PTH123
        file.write(b"no picture")


def _many(folder: Path, n: int, suffix: str) -> None:
    for number in range(n):
        (folder / f"file{number}{suffix}").touch()


def _many_folders(folder: Path, n: int) -> None:
    for number in range(n):
        (folder / f"class{number}").mkdir()
