"""How a file is damaged: bits flipped, cut off, overwritten, exchanged for another."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

Damage = Callable[[bytes], bytes]
SHARES = {"flip": 11, "flips": 2, "truncate": 2, "zeros": 2, "garble": 2, "append": 1}
"""How often each kind of damage is drawn."""


def damages(seed: int, size: int, n: int) -> Iterator[tuple[str, Damage]]:
    """Yield ``n`` kinds of damage to a file of ``size`` bytes, named so that each is repeatable."""
    draw = random.Random(seed)  # noqa: S311
    for _ in range(n):
        kind = draw.choices(list(SHARES), list(SHARES.values()))[0]
        place, length = draw.randrange(size), draw.randrange(1, 80)
        bits = [
            (draw.randrange(size), draw.randrange(8)) for _ in range(1 if kind == "flip" else 4)
        ]
        junk = draw.randbytes(length)
        yield _named(kind, place, length, bits), _damage(kind, place, bits, junk)


def _named(kind: str, place: int, length: int, bits: list[tuple[int, int]]) -> str:
    if kind in ("flip", "flips"):
        return "flipped " + " ".join(f"{byte}.{bit}" for byte, bit in bits)
    if kind == "append":
        return f"{length} bytes appended"
    return f"{kind} at {place}" + ("" if kind == "truncate" else f", {length} bytes")


def _damage(kind: str, place: int, bits: list[tuple[int, int]], junk: bytes) -> Damage:
    def damaged(content: bytes) -> bytes:
        if kind in ("flip", "flips"):
            changed = bytearray(content)
            for byte, bit in bits:
                changed[byte] ^= 1 << bit
            return bytes(changed)
        if kind == "truncate":
            return content[:place]
        if kind == "append":
            return content + junk
        new = bytes(len(junk)) if kind == "zeros" else junk
        return (content[:place] + new + content[place + len(new) :])[: len(content)]

    return damaged


def replace_bytes(path: Path, content: bytes) -> None:
    """Put other bytes in place of a file's."""
    path.unlink()
    path.write_bytes(content)
