"""Foreign weight files: malicious pickles, unusual tensors, files that are not weights."""

import collections
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

import rbcore as rb
from benchmarks.layouts import LAYOUTS
from benchmarks.robustness.cases import HOSTILE, SAME, WRONG, Case, Outcome, must_refuse
from benchmarks.robustness.damage import damages
from benchmarks.robustness.world import World, digest_of_tensors
from rbcore.runs.importing import import_weights

KIND, PICKLES = "weights files", "pickles of CIFAR"
DAMAGED = 90
Tensors = dict[str, torch.Tensor]
MARK = "was-run"
"""A file that a pickle's code would make in the folder of the case."""


def weights_file_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield files given to `import_weights`."""
    for suffix in (".pth", ".safetensors"):
        content = (world.weights / f"net{suffix}").read_bytes()
        size = len(content) if suffix == ".pth" else 8 + struct.unpack("<Q", content[:8])[0]
        for name, damage in damages(seed, size, DAMAGED):
            yield _case(
                world,
                f"{suffix} {name}",
                f"net{suffix}",
                lambda damage=damage, content=content: damage(content),
                may=True,
            )
    for name, make in no_weights().items():
        for file in ("net.pth", "net.safetensors"):
            yield _case(world, f"{name} called {file}", file, make)
    for name, content in pickles().items():
        yield _case(world, f"pickle: {name}", "net.pth", lambda content=content: content)
        yield _case(
            world, f"pickle in a zip: {name}", "net.pth", lambda content=content: in_zip(content)
        )
    tensors = safetensors.torch.load_file(world.weights / "net.safetensors")
    for name, change in odd_tensors().items():
        yield _case(
            world,
            f"tensors: {name}",
            "net.pth",
            lambda change=change: _saved(change(dict(tensors))),
        )
    for name, header in headers().items():
        yield _case(world, f"safetensors: {name}", "net.safetensors", lambda header=header: header)
    for name, put in paths().items():
        yield _path_case(world, name, put)


def _case(
    world: World, name: str, file: str, content: Callable[[], bytes], *, may: bool = False
) -> Case:
    """Return the case of a file that must be refused.

    With ``may``, its tensors may also be those of the right one.
    """

    def make(folder: Path) -> None:
        (folder / file).write_bytes(content())

    def act(folder: Path) -> dict[str, Any]:
        digits = rb.load_dataset("digits")
        try:
            run = import_weights(digits, "small_cnn", folder / file, run="foreign", device="cpu")
            model = rb.load_model("small_cnn", digits, run=run.name, device="cpu").network
            weights = digest_of_tensors(model.get_submodule("network").state_dict())
        finally:
            if (folder / MARK).exists() or Path(MARK).exists():
                raise RuntimeError("code in the file was run")
        return {"weights": weights, "accuracy": run.facts.test_accuracy}

    def judge(found: dict[str, Any]) -> Outcome:
        if may and found["weights"] == world.facts["weights"]:
            return Outcome(SAME)
        return Outcome(WRONG, f"accepted, accuracy {found['accuracy']:.3f}")

    return Case(HOSTILE, KIND, name, act, judge, make, names=(file,), seconds=45)


def no_weights() -> dict[str, Callable[[], bytes]]:
    """Return files that are no weights, whatever they are called."""
    return {
        "empty": lambda: b"",
        "one byte": lambda: b"\x80",
        "HTML": lambda: b"<!doctype html><html><body>404 Not Found</body></html>",
        "an LFS pointer": lambda: (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 44730\n"
        ),
        "JSON": lambda: b'{"weights": [1, 2, 3]}',
        "text": lambda: b"hello\n",
        "escape codes": lambda: b"\x1b[31m\x1b]0;title\x07" * 10,
        "a PNG": lambda: b"\x89PNG\r\n\x1a\n" + bytes(500),
        "a gzip": lambda: b"\x1f\x8b\x08" + bytes(500),
        "a tar": lambda: b"x" * 100 + bytes(156) + b"ustar" + bytes(300),
        "an HDF5": lambda: b"\x89HDF\r\n\x1a\n" + bytes(500),
        "an empty zip": lambda: b"PK\x05\x06" + bytes(18),
        "random bytes": lambda: np.random.default_rng(1).bytes(10_000),
        "zeros": lambda: bytes(10_000),
        "an npz": _npz,
        "a zip bomb": _zip_bomb,
        "half of a zip": lambda: in_zip(pickle.dumps({}))[:40],
    }


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


def _zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(300_000_000))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def in_zip(content: bytes) -> bytes:
    """Return a pickle in the archive in which torch keeps its own."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return file.getvalue()


def _calls(module: str, name: str, *arguments: str) -> bytes:
    words = b"".join(b"X" + struct.pack("<I", len(text)) + text.encode() for text in arguments)
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + words + b"tR."


def pickles() -> dict[str, bytes]:
    """Return pickles that run code, ask for memory or time, or hold no tensors."""
    nested = b"\x80\x02" + b"]" * 1 + b"]" * 100_000 + b"a" * 100_000 + b"."
    doubled = (
        b"\x80\x04N\x94"
        + b"".join(b"h%ch%c\x86\x94" % (number, number) for number in range(100))
        + b"."
    )
    return {
        "os.system": _calls("os", "system", f"touch {MARK}"),
        "posix.system": _calls("posix", "system", f"touch {MARK}"),
        "builtins.eval": _calls("builtins", "eval", f"open({MARK!r}, 'w')"),
        "builtins.exec": _calls("builtins", "exec", f"open({MARK!r}, 'w')"),
        "subprocess.check_output": _calls("subprocess", "check_output", f"touch {MARK}"),
        "torch.hub.load": _calls("torch.hub", "load", "owner/repository", "model"),
        "torch.load itself": _calls("torch", "load", "/etc/passwd"),
        "builtins.getattr": _calls("builtins", "getattr", "a", "upper"),
        "runpy": _calls("runpy", "run_path", "/etc/passwd"),
        "a class of ours": _calls("rbcore.store", "make_folder", MARK),
        "bytearray of 1 GB": b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x40\x85R.",
        "a string that promises 2 GB": b"\x80\x02X\xff\xff\xff\x7f",
        "bytes that promise 2**62": b"\x80\x04\x8e" + struct.pack("<Q", 2**62),
        "a frame of 2**62": b"\x80\x04\x95" + struct.pack("<Q", 2**62),
        "a long of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7f",
        "memo at 2**31 - 1": b"\x80\x02Nr\xff\xff\xff\x7f.",
        "memo at 2**28": b"\x80\x02Nr\x00\x00\x00\x10.",
        "memo as text at 10**9": b"\x80\x02Np1000000000\n.",
        "lists nested 100,000 deep": nested,
        "tuples doubled a hundred times, as a key": doubled[:-1] + b"}" + b".",
        "tuples doubled 60 times in a set": b"\x80\x04\x8f(N\x94"
        + b"h\x00h\x00\x86\x94" * 60
        + b"\x90.",
        "no stop": b"\x80\x02}",
        "stop at once": b"\x80\x02.",
        "protocol 255": b"\x80\xff}.",
        "marks only": b"\x80\x02" + b"(" * 100_000 + b".",
        "None": pickle.dumps(None),
        "a number": pickle.dumps(5),
        "a list": pickle.dumps([1, 2]),
        "an empty dictionary": pickle.dumps({}),
        "a dictionary of texts": pickle.dumps({"a": "b"}),
        "a dictionary that holds itself": b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s.",
        "keys that are numbers": pickle.dumps({1: 2}),
        "an optimizer's state": pickle.dumps(
            {"state": {0: {"step": 1}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
        ),
        "an unhashable key": b"\x80\x02}]Ns.",
        "extension codes": b"\x80\x02\x82\x01.",
        "a persistent id": b"\x80\x02X\x03\x00\x00\x00abcQ.",
    }


def _saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def odd_tensors() -> dict[str, Callable[[Tensors], object]]:
    """Return state dicts whose tensors cannot be weights, and some that do not fit."""

    def each(change: Callable[[torch.Tensor], object]) -> Callable[[Tensors], object]:
        return lambda tensors: {name: change(tensor) for name, tensor in tensors.items()}

    def first(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Tensors], object]:
        def changed(tensors: Tensors) -> object:
            name = next(iter(tensors))
            return {**tensors, name: change(tensors[name])}

        return changed

    return {
        "sparse": each(lambda t: t.to_sparse()),
        "sparse, one": first(lambda t: t.to_sparse()),
        "compressed rows": first(lambda t: t.reshape(t.shape[0], -1).to_sparse_csr()),
        "meta": each(lambda t: t.to("meta")),
        "whole numbers": each(lambda t: t.long()),
        "bytes": each(lambda t: t.to(torch.uint8)),
        "truth values": each(lambda t: t.bool()),
        "complex": each(lambda t: t.to(torch.complex64)),
        "quantized": each(lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8)),
        "NaN": first(lambda t: torch.full_like(t, torch.nan)),
        "infinite": first(lambda t: torch.full_like(t, torch.inf)),
        "NaN once": first(
            lambda t: t.index_put(
                (torch.zeros(t.dim(), 1).long().unbind()), torch.tensor([torch.nan])
            )
        ),
        "huge": each(lambda t: torch.full_like(t, 3e38)),
        "a view of one number that promises 10**12": first(
            lambda t: torch.zeros(1).expand(10**6, 10**6)
        ),
        "empty": each(lambda t: t[:0]),
        "of no dimension": each(lambda t: torch.tensor(0.0)),
        "shapes reversed": each(lambda t: t.permute(*range(t.dim() - 1, -1, -1)).contiguous()),
        "one missing": lambda tensors: dict(list(tensors.items())[1:]),
        "one too many": lambda tensors: {**tensors, "extra.weight": torch.zeros(3)},
        "names in capitals": lambda tensors: {
            name.upper(): tensor for name, tensor in tensors.items()
        },
        "names with escape codes": lambda tensors: {
            f"\x1b[31m{name}": tensor for name, tensor in tensors.items()
        },
        "names of 100,000 letters": lambda tensors: {
            "x" * 100_000 + name: tensor for name, tensor in tensors.items()
        },
        "another number of classes": lambda tensors: {
            name: tensor[:3] if tensor.shape[:1] == (10,) else tensor
            for name, tensor in tensors.items()
        },
        "another network": lambda tensors: torch.nn.Linear(3, 2).state_dict(),
        "a list of tensors": lambda tensors: list(tensors.values()),
        "one tensor": lambda tensors: next(iter(tensors.values())),
        "an OrderedDict with attributes": _with_attributes,
        "5,000 tensors": lambda tensors: {f"t{number}": torch.zeros(1) for number in range(5_000)},
        "an optimizer": lambda tensors: torch.optim.SGD(
            [torch.zeros(3, requires_grad=True)], 0.1
        ).state_dict(),
        "a namespace beside nothing": lambda tensors: {"args": {"lr": 0.1}, "epoch": 3},
    }


def _with_attributes(tensors: Tensors) -> object:
    content = collections.OrderedDict((f"{name}.no", tensor) for name, tensor in tensors.items())
    content._metadata = {"": {"version": "x" * 1000}}  # type: ignore[attr-defined]
    return content


def _header(facts: object, data: bytes = b"") -> bytes:
    text = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    return struct.pack("<Q", len(text)) + text + data


def headers() -> dict[str, bytes]:
    """Return safetensors whose header is a lie."""
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return {
        "a header of 2**63": struct.pack("<Q", 2**63) + b"{}",
        "a header of 99 MB": struct.pack("<Q", 99_000_000) + b"{}",
        "no header": struct.pack("<Q", 0),
        "an empty header": _header({}),
        "a header that is a list": _header([]),
        "a header of 1 MB of brackets": _header(b"[" * 1_000_000),
        "offsets beyond the end": _header({"a": {**one, "data_offsets": [0, 2**40]}}, bytes(8)),
        "offsets that overlap": _header({"a": one, "b": one}, bytes(8)),
        "offsets backwards": _header({"a": {**one, "data_offsets": [8, 0]}}, bytes(8)),
        "a shape of 2**62": _header({"a": {**one, "shape": [2**62, 4]}}, bytes(8)),
        "a negative shape": _header({"a": {**one, "shape": [-2]}}, bytes(8)),
        "a type that does not exist": _header({"a": {**one, "dtype": "F33"}}, bytes(8)),
        "8 bits a number": _header(
            {"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}, bytes(8)
        ),
        "names that are no text": _header(
            b'{"\\ud800": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)
        ),
        "50,000 tensors": _header(
            {f"t{k}": {**one, "shape": [0], "data_offsets": [0, 0]} for k in range(50_000)}
        ),
    }


def paths() -> dict[str, Callable[[Path], Path]]:
    """Return paths that are no file."""

    def pipe(folder: Path) -> Path:
        os.mkfifo(folder / "net.pth")
        return folder / "net.pth"

    def loop(folder: Path) -> Path:
        (folder / "net.pth").symlink_to("net.pth")
        return folder / "net.pth"

    def big(folder: Path) -> Path:
        with (folder / "net.pth").open("wb") as file:
            file.truncate(8 * 2**30)
        return folder / "net.pth"

    return {
        "a path of 5,000 letters": lambda folder: Path("a" * 5000),
        "a path with 3,000 parts": lambda folder: Path("/".join("a" * 3000)),
        "a path with a NUL": lambda folder: Path("a\0b.pth"),
        "a stray byte": lambda folder: Path("\udcff.pth"),
        "a folder": lambda folder: folder,
        "/dev/zero": lambda folder: Path("/dev/zero"),
        "/dev/null": lambda folder: Path("/dev/null"),
        "/proc/self/mem": lambda folder: Path("/proc/self/mem"),
        "nothing": lambda folder: folder / "nosuch.pth",
        "a pipe": pipe,
        "a loop": loop,
        "8 GB of nothing": big,
        "the home of a user that does not exist": lambda folder: Path("~nosuchuser/net.pth"),
    }


def _path_case(world: World, name: str, put: Callable[[Path], Path]) -> Case:
    def act(folder: Path) -> object:
        return import_weights(
            rb.load_dataset("digits"), "small_cnn", put(folder), run="foreign", device="cpu"
        ).facts

    return Case(HOSTILE, KIND, f"path: {name}", act, must_refuse, seconds=45)


def cifar_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield hostile pickles in place of a batch of CIFAR."""
    for name, content in pickles().items():
        for which in ("data_batch_3", "batches.meta"):
            yield _cifar_case(f"{which}: {name}", which, content)


def _cifar_case(name: str, which: str, content: bytes) -> Case:
    def make(folder: Path) -> None:
        LAYOUTS["cifar10"].write(folder / "files")
        (folder / "files" / "cifar-10-batches-py" / which).write_bytes(content)

    def act(folder: Path) -> object:
        try:
            dataset = rb.load_dataset("cifar10", root=folder / "files", checksum=False)
        finally:
            if Path(MARK).exists():
                raise RuntimeError("code in the file was run")
        return f"{len(dataset.samples)} images"

    return Case(HOSTILE, PICKLES, name, act, must_refuse, make, names=(which, "files"), seconds=45)
