"""Files that others wrote: weights, read without trusting them, and builders.

What is recognized: safetensors and PyTorch files, read with ``weights_only=True`` after a look at
what their pickle asks for, so that no code in them can run; state dicts, at the top or under keys,
one or several. Any other file is refused with what it is.
"""

import importlib.util
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from rbcore.errors import CheckpointError, ModelError
from rbcore.models.base import MODELS, ModelSpec
from rbcore.store import sha256_of_file
from rbcore.store.pickles import Pickle, RefusedPickle, first_bytes, read_pickle

DEEPEST = 4
HEAD_BYTES = 2**26
"""Size of the pickle that names a checkpoint's tensors; the tensors lie outside it."""
LONGEST_PATH = 200
SAVE = "Save the network's state_dict alone: torch.save(network.state_dict(), path)."
STOOD_IN = ("argparse.Namespace", "types.SimpleNamespace")
"""What checkpoints hold beside weights, with all of numpy and pathlib: read as nothing at all."""
SIGNS = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer and not the file it stands for; fetch that with git lfs pull",
    ),
    (b"<", "a web page; download the file that the page links to"),
    (b"\x89hdf", "an HDF5 file, as Keras writes; save the weights from PyTorch"),
    (b"\x1f\x8b", "a compressed file; unpack it first"),
    (b"{", "text, as of a configuration; name the file of weights beside it"),
)
"""How files begin that are taken for weights, in lower case, and what they are."""


class _Inert:
    """Stands in for whatever a checkpoint holds beside weights, and does nothing."""

    def __new__(cls, *_: object, **__: object) -> "_Inert":
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def is_file(path: Path) -> bool:
    """Whether there is a file; a path no system can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def shortened(path: Path) -> str:
    """Return a path for a sentence, the middle of a very long one left out."""
    text = str(path)
    return (
        text
        if len(text) <= LONGEST_PATH
        else f"{text[: LONGEST_PATH // 2]}...{text[-LONGEST_PATH // 2 :]}"
    )


def read_weights(path: Path) -> dict[str, dict[str, Tensor]]:
    """Read a foreign checkpoint and return its sets of tensors, by key and by name.

    Tensors at the top lie under the empty key. The state of an optimizer is no set.

    Raises
    ------
    CheckpointError
        If the file is missing or unreadable, is not a checkpoint, holds more than tensors, or
        holds no named tensors.
    """
    head = _head(path)
    if _is_safetensors(path, head):
        try:
            return {"": safetensors.torch.load_file(path)}
        except Exception as error:  # hostile bytes can make the reader raise anything at all
            raise _unreadable(path, head, "a readable safetensors file", _reason(error)) from error
    try:
        found = _look(path, head)
        stand_ins: list[Any] = [
            (_Inert, name) for name in sorted(found.names) if _is_stood_in(name)
        ]
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings(action="ignore"):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except RefusedPickle as error:
        raise _unreadable(path, head, "plain weights", str(error)) from error
    except Exception as error:  # as above
        raise _unreadable(path, head, "plain weights", _reason(error)) from error
    sets = dict(_sets(loaded))
    if not sets:
        raise CheckpointError(f"{path} holds no named tensors{_instead(loaded)}. {SAVE}")
    return sets


def _head(path: Path) -> bytes:
    if not is_file(path):
        raise CheckpointError(
            f"The checkpoint {shortened(path)} does not exist or is not a file; check the path."
        )
    try:
        with path.open("rb") as file:
            return first_bytes(file, HEAD_BYTES)
    except OSError as error:
        raise CheckpointError(
            f"The checkpoint {path} cannot be read: {error.strerror}; check its permissions."
        ) from error


def _is_safetensors(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".safetensors" or head[8:9] == b"{"


def _unreadable(path: Path, head: bytes, kind: str, reason: str) -> CheckpointError:
    start = head[:100].lstrip().lower()
    for sign, what in SIGNS:
        if start.startswith(sign):
            return CheckpointError(f"{path} is {what}.")
    if not head:
        return CheckpointError(f"{path} is empty; download or copy it again.")
    return CheckpointError(f"{path} is not {kind}; nothing in it was run ({reason}). {SAVE}")


def _reason(error: Exception) -> str:
    """Return the first sentence of what a reader said, without escape codes."""
    text = " ".join(
        "".join(letter for letter in str(error) if letter.isprintable() or letter == " ").split()
    )
    return (
        f"{type(error).__name__}: {text.partition('. ')[0].rstrip('.')}"
        if len(text) < LONGEST_PATH
        else type(error).__name__
    )


def _is_stood_in(name: str) -> bool:
    return name in STOOD_IN or name.startswith(("numpy.", "pathlib."))


def _is_known(name: str) -> bool:
    is_tensors = name.startswith("torch.") and not name.startswith(
        "torch.nn.modules."
    )  # which are whole networks
    return _is_stood_in(name) or is_tensors or name in ("collections.OrderedDict", "_codecs.encode")


def _look(path: Path, head: bytes) -> Pickle:
    """Return what the pickle of a PyTorch file holds; refuse one that claims more than there is."""
    if not zipfile.is_zipfile(path):
        if head.startswith(b"PK"):
            raise RefusedPickle("it is truncated; download or copy it again")
        rest = head
        for _ in range(
            3
        ):  # a number that says what it is, a version, the machine's integers; then the tensors
            rest = rest[read_pickle(rest, _is_known).end :]
        return _bounded(read_pickle(rest, _is_known), path.stat().st_size, None)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename.partition("/")[2]: info.file_size for info in archive.infolist()}
            names = [
                info.filename
                for info in archive.infolist()
                if info.filename.partition("/")[2] == "data.pkl"
            ]
            if any(name.startswith("code/") for name in sizes):
                raise RefusedPickle("it is a TorchScript program")
            if len(names) != 1:
                raise RefusedPickle("it is an archive without a PyTorch checkpoint in it")
            if sum(sizes.values()) > path.stat().st_size or sizes["data.pkl"] > HEAD_BYTES:
                raise RefusedPickle("it claims to hold more than the file has bytes")
            found = _bounded(
                read_pickle(archive.read(names[0]), _is_known), path.stat().st_size, sizes
            )
            if damaged := archive.testzip():  # torch.load does not look at the checksums
                raise RefusedPickle(
                    f"{damaged!r} in it does not match its checksum; download or copy it again"
                )
            return found
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise RefusedPickle("it is a damaged archive; download or copy it again") from error


def _bounded(found: Pickle, size: int, sizes: dict[str, int] | None) -> Pickle:
    """Refuse storages larger than the file, or other than their entry of the archive."""
    texts = [
        built.arguments[0]
        for built in found.built
        if built.name == "_codecs.encode" and built.arguments
    ]
    if sum(len(text) for text in texts if isinstance(text, str)) > size:
        raise RefusedPickle("it claims to hold more than the file has bytes")
    for stored in found.stored:
        described = stored.description
        if not isinstance(described, tuple) or len(described) < 5 or described[0] != "storage":
            raise RefusedPickle("it describes a tensor in a way that PyTorch does not")
        _, kind, key, _, n = described[:5]
        name = getattr(kind, "name", "").rpartition(".")[2]
        if name not in _WIDTHS:
            raise RefusedPickle(f"it holds numbers of the kind {name[:40]!r}")
        n_bytes = n * _WIDTHS[name] if type(n) is int else -1
        if not 0 <= n_bytes <= size or (sizes is not None and sizes.get(f"data/{key}") != n_bytes):
            raise RefusedPickle("a tensor in it has another size than its data")
    return found


_WIDTHS = {
    **dict.fromkeys(
        (
            "ByteStorage",
            "CharStorage",
            "BoolStorage",
            "QInt8Storage",
            "QUInt8Storage",
            "UntypedStorage",
        ),
        1,
    ),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("FloatStorage", "IntStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    "ComplexDoubleStorage": 16,
}
"""Bytes a number in each kind of storage of torch."""


def _sets(tree: object, key: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield every mapping with named tensors, and its key; those of optimizers left out."""
    if not isinstance(tree, Mapping) or depth > DEEPEST or "param_groups" in tree:
        return
    tensors = {
        name: value
        for name, value in tree.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if tensors:
        yield key, tensors
    for name, inner in tree.items():
        if isinstance(name, str):
            yield from _sets(inner, f"{key}.{name}" if key else name, depth + 1)


def _instead(loaded: object) -> str:
    if isinstance(loaded, Mapping) and "param_groups" in loaded:
        return ": it is the state of an optimizer"
    if isinstance(loaded, Mapping):
        names = [str(name)[:40] for name in loaded]
        return (
            f", only {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
            if names
            else ": it is empty"
        )
    return f": it is a {type(loaded).__name__}"


def register_builder(path: Path) -> str:
    """Run a Python file that defines ``build(input_shape, n_classes)`` and register it.

    The file's code runs with all your rights, so only the command line can be pointed to one.

    Raises
    ------
    ModelError
        If the file is missing, fails, or defines no ``build``; or its name is taken.
    """
    name = path.stem
    if path.suffix != ".py" or not is_file(path):
        raise ModelError(
            f"The builder {shortened(path)} is not a Python file; name one that defines "
            "build(input_shape, n_classes)."
        )
    if name in MODELS:
        raise ModelError(f"The builder {path} has the name of a registered model; rename the file.")
    spec = importlib.util.spec_from_file_location(f"rbcore_builder_{name}", path)
    if spec is None or spec.loader is None:
        raise ModelError(f"The builder {path} cannot be read as Python.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"The builder {path} failed: {type(error).__name__}: {reason}") from error
    build = getattr(module, "build", None)
    if not callable(build):
        raise ModelError(f"The builder {path} defines no function build(input_shape, n_classes).")
    MODELS.add(
        name,
        ModelSpec(name, name, build, f"built by {path.name}", source_sha256=sha256_of_file(path)),
    )
    return name
