"""Read the containers and byte arrays of a CIFAR batch out of a pickle without trusting the pickle.

The official python batches of CIFAR are pickles, and a pickle is a program: ``pickle.load`` calls whatever it names. This is
the only module of the project that may import from ``pickle``, and it takes `Unpickler` alone (a test reads the source).
Every name a pickle asks for goes through `find_class`, which knows the four names of a pickled array and answers with
stand-ins defined here, so that neither foreign code nor numpy's own unpickling ever runs. All else is refused.

What this does not bound is memory: a hostile file can still ask for a lot of it. The published checksum guards against that.
"""

from io import BytesIO
from math import prod
from pathlib import Path
from pickle import Unpickler
from typing import Any, NoReturn

import numpy as np

from rbcore.errors import DatasetError


class _Refused(Exception):
    """The pickle asks for something a batch of images does not need."""


class _Fixed(type):
    """A stand-in that a pickle can call, but whose own attributes it cannot set."""

    def __setstate__(cls, state: object) -> NoReturn:
        raise _Refused(f"it sets attributes of {cls.__name__}")


class _Encoded(metaclass=_Fixed):
    """Stands in for ``_codecs.encode``: bytes that an old protocol wrote as text."""

    def __new__(cls, text: str, encoding: str = "latin1") -> Any:
        if not isinstance(text, str) or encoding != "latin1":
            raise _Refused(f"it encodes as {encoding!r}")
        return text.encode("latin1")


class _Type(metaclass=_Fixed):
    """Stands in for ``numpy.dtype``: unsigned bytes or nothing."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in ("u1", "|u1", "uint8"):
            raise _Refused(f"it holds an array of {code!r}, not of bytes")

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and alignment, which single bytes do not have."""


class _Array(metaclass=_Fixed):
    """Stands in for ``numpy.ndarray`` and the function that makes an empty one; the state fills it."""

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_fortran, data = state
        data = data.encode("latin1") if isinstance(data, str) else data
        if not isinstance(kind, _Type) or not isinstance(data, bytes) or prod(shape) != len(data):
            raise _Refused("it holds an array that is not of bytes, or has another length than its shape")
        self.values = np.frombuffer(data, np.uint8).reshape(shape, order="F" if is_fortran else "C")


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Encoded,
}


class _BatchUnpickler(Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise _Refused(f"it asks for {module}.{name}") from None


def read_batch(path: Path) -> dict[str, Any]:
    """Return the dictionary a CIFAR batch holds: text, numbers, lists, and uint8 arrays.

    Raises
    ------
    DatasetError
        If the file cannot be read, is no such pickle, or asks for any other object; nothing it names is ever called.
    """
    try:
        content = _BatchUnpickler(BytesIO(path.read_bytes()), encoding="latin1").load()
    except _Refused as error:
        raise DatasetError(
            f"{path} was not read: {error}, which no CIFAR batch does. Replace it by the published file."
        ) from error
    except Exception as error:  # a damaged pickle can raise anything; none of it is swallowed
        raise DatasetError(
            f"{path} is no CIFAR batch ({type(error).__name__}). Replace it by the published file."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise DatasetError(f"{path} is no CIFAR batch: it holds no dictionary. Replace it by the published file.")
    return {name: value.values if isinstance(value, _Array) else value for name, value in content.items()}
