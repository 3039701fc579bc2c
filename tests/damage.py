"""Damages a file as a disk, a careless editor or a broken copy does: flipped bits, a cut end,
zeros; for tests of what reads it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np


def flips(path: Path, n: int, seed: int = 0) -> Iterator[str]:
    """Yield after each of n bits has been flipped in the file, one at a time; the file is whole
    again afterwards.
    """
    content = path.read_bytes()
    random = np.random.default_rng(seed)
    for position, bit in zip(
        random.integers(len(content), size=n), random.integers(8, size=n), strict=True
    ):
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        path.write_bytes(bytes(damaged))
        yield f"bit {bit} of byte {position} of {len(content)}"
    path.write_bytes(content)


def damages(path: Path, n: int, seed: int = 0) -> Iterator[str]:
    """Yield after each of n flipped bits, and after the end was cut off or
    overwritten with zeros.
    """
    yield from flips(path, n, seed)
    content = path.read_bytes()
    for share in (0.0, 0.3, 0.9, 0.999):
        kept = content[: int(share * len(content))]
        for what, damaged in (("cut", kept), ("zeros", kept + bytes(len(content) - len(kept)))):
            path.write_bytes(damaged)
            yield f"{what} after {share:.0%}"
    path.write_bytes(content)
