"""Noisy copies of images, packed into passes: each from its image's own seed."""

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch import Tensor

BLOCK = {"cpu": 20, "cuda": 100}
"""Noisy copies drawn from one generator, part of the definition of the draws: few on a CPU, to
share them among its threads; more on a GPU, to launch fewer kernels. 20 and 100 divide the usual
100, 1,000 and 100,000.
"""
SEED_STEP = 0x9E3779B1
"""Odd, so that the 2^32 seeds it steps through are all different."""


def noisy_passes(
    images: Tensor,
    seeds: np.ndarray,
    *,
    noise: float,
    draws: int,
    size: int,
    stream: int = 0,
    layout: torch.memory_format = torch.contiguous_format,
) -> Iterator[Tensor]:
    """Yield ``image + noise * N(0, I)``, never clipped.

    ``draws`` copies of the first image, then of the second, and so on.

    Copy number i of an image depends on its seed, the stream and ``draws`` alone, not on its
    neighbors or the pass.

    Parameters
    ----------
    images
        Shape (n, channels, height, width), in [0, 1].
    seeds
        One number an image, int64, shape (n,).
    noise
        Standard deviation in [0, 1] pixel space.
    draws
        Copies of each image.
    size
        Largest number of copies in a pass; the tensor yielded is used again for the next.
    stream
        Streams of one seed are independent of each other.
    layout
        Order in which the copies lie in memory, contiguous or channels last.
    """
    channels_last = layout == torch.channels_last
    device, block = images.device, BLOCK[images.device.type]
    capacity = _capacity(block, size)
    sources = images.permute(0, 2, 3, 1) if channels_last else images
    buffer = sources.new_empty(
        (capacity, *sources.shape[1:])
    )  # contiguous, without which torch draws eight times slower
    shown = buffer.permute(0, 3, 1, 2) if channels_last else buffer
    n_threads = torch.get_num_threads() if device.type == "cpu" else 1
    with ThreadPoolExecutor(n_threads) if n_threads > 1 else nullcontext() as pool:
        for pieces in _packed(len(images), draws, block, capacity):
            ends = list(itertools.accumulate(length for _, _, length in pieces))
            slots = [slice(start, end) for start, end in itertools.pairwise([0, *ends])]
            origins = [
                _origin(seeds[image], stream) + number * SEED_STEP for image, number, _ in pieces
            ]
            _fill([buffer[slot] for slot in slots], origins, noise, pool)
            for image, span in _spans([image for image, _, _ in pieces], ends):
                buffer[span] += sources[image]
            yield from shown[: ends[-1]].tensor_split(math.ceil(ends[-1] / size))


def _capacity(block: int, size: int) -> int:
    """Return copies to draw at a time: whole blocks that fill passes of ``size``.

    As nearly as few blocks can.
    """

    def share_filled(n_blocks: int) -> float:
        return n_blocks * block / (math.ceil(n_blocks * block / size) * size)

    return block * max(range(1, max(8, size // block) + 1), key=share_filled)


def _packed(n: int, draws: int, block: int, capacity: int) -> Iterator[list[tuple[int, int, int]]]:
    """Yield lists of (image, number of its block, copies in it).

    Together they have at most ``capacity`` copies.
    """
    pieces: list[tuple[int, int, int]] = []
    room = capacity
    for image in range(n):
        for number, start in enumerate(range(0, draws, block)):
            length = min(block, draws - start)
            if length > room:
                yield pieces
                pieces, room = [], capacity
            pieces.append((image, number, length))
            room -= length
    if pieces:
        yield pieces


def _spans(images: list[int], ends: list[int]) -> Iterator[tuple[int, slice]]:
    """Yield each image with the stretch of the buffer that its blocks fill together."""
    start = 0
    for place, (image, end) in enumerate(zip(images, ends, strict=True)):
        if place + 1 == len(images) or images[place + 1] != image:
            yield image, slice(start, end)
            start = end


def _origin(seed: int, stream: int) -> int:
    return int(np.random.SeedSequence([int(seed) % 2**64, stream]).generate_state(1)[0])


def _fill(blocks: list[Tensor], seeds: list[int], noise: float, pool: Executor | None) -> None:
    draw = partial(_draw, noise=noise)
    for _ in map(draw, blocks, seeds) if pool is None else pool.map(draw, blocks, seeds):
        pass


def _draw(block: Tensor, seed: int, noise: float) -> None:
    generator = torch.Generator(block.device).manual_seed(
        seed % 2**32
    )  # torch's CPU generator takes 32 bits
    block.normal_(0.0, noise, generator=generator)
