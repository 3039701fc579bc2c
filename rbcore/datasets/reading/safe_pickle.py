"""Read the containers and byte arrays of a CIFAR batch out of a pickle without running it.

See `rbcore.store.pickles`.

The official python batches of CIFAR are pickles. Five names are known, those of a pickled array;
what they stand for is worked out here, so that neither foreign code nor numpy's own unpickling ever
runs, and arrays take no more memory than the file has bytes.
"""

from math import prod
from pathlib import Path

import numpy as np

from rbcore.datasets.reading.opening import open_below
from rbcore.errors import DatasetError
from rbcore.store.pickles import MOST_BYTES, Built, RefusedPickle, first_bytes, read_pickle

_ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_KNOWN = frozenset({*_ARRAYS, "numpy.ndarray", "numpy.dtype", "_codecs.encode"})
_BYTES = ("u1", "|u1", "uint8")
MOST_DIMENSIONS = 4


def _array_of(built: Built, room: int) -> np.ndarray:
    """Return the array of bytes that a pickle describes, of at most ``room`` bytes."""
    if built.name not in _ARRAYS or not isinstance(built.state, tuple) or len(built.state) != 5:
        raise RefusedPickle(f"it holds {built.name} where an array belongs")
    _, shape, kind, is_fortran, data = built.state
    code = (
        kind.arguments[0]
        if isinstance(kind, Built) and kind.name == "numpy.dtype" and kind.arguments
        else None
    )
    if code not in _BYTES:
        raise RefusedPickle(f"it holds an array of {str(code)[:20]!r}, not of bytes")
    if isinstance(data, Built):  # bytes that an old protocol wrote as text
        if (
            data.name != "_codecs.encode"
            or len(data.arguments) != 2
            or data.arguments[1] != "latin1"
        ):
            raise RefusedPickle(f"it makes bytes by {data.name} in another encoding than latin1")
        data = data.arguments[0]
    is_shape = (
        isinstance(shape, tuple)
        and len(shape) <= MOST_DIMENSIONS
        and all(type(side) is int for side in shape)
    )
    if (
        not is_shape
        or not isinstance(data, bytes | str)
        or len(data) > room
        or prod(shape) != len(data)
    ):
        raise RefusedPickle(
            "it holds an array that is not of bytes, or has another length than its shape"
        )
    content = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if is_fortran else "C")


def read_batch(path: Path, root: Path) -> dict[str, object]:
    """Return the dictionary of a CIFAR batch below ``root``: text, numbers, uint8 arrays.

    Raises
    ------
    DatasetError
        If the file cannot be read, is not such a pickle, or asks for any other object; nothing it
        names is ever called.
    """
    remedy = "Replace it by the published file."
    try:
        with open_below(path, root) as file:
            data = first_bytes(file, MOST_BYTES + 1)
        content = read_pickle(data, _KNOWN.__contains__).content
        if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
            raise DatasetError(
                f"{path} is not a CIFAR batch: it is not a dictionary with text keys. {remedy}"
            )
        batch: dict[str, object] = {}
        room = len(data)
        for name, value in content.items():
            if isinstance(value, Built):
                value = _array_of(value, room)
                room -= value.nbytes
            batch[name] = value
    except RefusedPickle as error:
        raise DatasetError(
            f"{path} was not read: {error}, which no CIFAR batch does. {remedy}"
        ) from error
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} is not a CIFAR batch ({type(error).__name__}). {remedy}"
        ) from error
    return batch
