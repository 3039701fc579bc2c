"""How many images go through a network at once: as many as are fastest.

Never more than fit into a share of the memory.
"""

import math
import time
from collections.abc import Iterator

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from rbcore.distances.base import Network
from rbcore.distances.networks import bytes_an_image
from rbcore.errors import MethodError

MEMORY_SHARE = 0.25
"""Share of the free memory that the passes of one estimate may take."""
WORKSPACE = 3.0
"""Memory of a pass, forward and backward, in units of what autograd keeps for it."""
LARGEST_SIZE = {"cpu": 128, "cuda": 4096}
FEW = 32
SMALLEST = 8
TUNING_SECONDS, TUNING_ROUNDS = 1.0, 5
CLEARLY_FASTER = 1.05


def in_batches(rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the rows in batches of at most ``batch_size``."""
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


def in_passes(network: nn.Module, images: Tensor, size: int) -> Tensor:
    """Return the logits of images, in passes of at most ``size``, without gradients."""
    with torch.no_grad():
        return torch.cat(
            [network(images[start : start + size]) for start in range(0, len(images), size)]
        )


def free_bytes(device: torch.device) -> int:
    """Return the memory that is free on a device."""
    return int(
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else psutil.virtual_memory().available
    )


def largest_size(network: nn.Module, image: Tensor, *, backward: bool = True) -> int:
    """Return how many images a pass may have.

    It then takes at most `MEMORY_SHARE` of what is free.

    A pass forward alone never takes more than autograd would keep for it.
    """
    workspace = WORKSPACE if backward else 1.0
    allowed = MEMORY_SHARE * free_bytes(image.device) / (workspace * bytes_an_image(network, image))
    return int(min(max(allowed, 1), LARGEST_SIZE[image.device.type]))


def fastest_size(
    network: Network,
    image: Tensor,
    most: int,
    *,
    backward: bool,
    layout: torch.memory_format = torch.contiguous_format,
) -> int:
    """Return the number of images a pass that is fastest, by measuring for about a second.

    Ever larger sizes first, then all again while the time lasts; of those about as fast, the
    smallest.

    Parameters
    ----------
    network
        As the method will use it.
    image
        Shape (1, channels, height, width), on the network's device.
    most
        The largest size allowed.
    backward
        Whether passes go back as well as forward.
    layout
        Order in which the images lie in memory.
    """
    sizes, started = [min(SMALLEST, most)], time.perf_counter()
    while sizes[-1] < most:
        sizes.append(min(2 * sizes[-1], most))
    seconds = dict.fromkeys(sizes, math.inf)
    for size in [size for size in sizes for _ in range(2)] + sizes * TUNING_ROUNDS:
        if seconds[sizes[0]] < math.inf and time.perf_counter() - started > TUNING_SECONDS:
            break
        images = image.expand(size, -1, -1, -1).contiguous(memory_format=layout)
        measured = seconds_of_a_pass(network, images, backward=backward)
        seconds[size] = min(seconds[size], measured)
    best = max(size / seconds[size] for size in sizes)
    return next(size for size in sizes if CLEARLY_FASTER * size / seconds[size] >= best)


def images_a_second(network: nn.Module, image: Tensor, *, backward: bool) -> float:
    """Return how many images a second go through a network, on passes of a usual size.

    Forward, or forward and backward.
    """
    images = image.expand(min(FEW, largest_size(network, image)), -1, -1, -1).contiguous()
    return len(images) / min(
        seconds_of_a_pass(network, images, backward=backward) for _ in range(3)
    )


def seconds_of_a_pass(network: Network, images: Tensor, *, backward: bool = True) -> float:
    """Return how many seconds one pass takes, forward or forward and backward.

    Including all that it started on the device.
    """
    started = time.perf_counter()
    moved = images.detach().requires_grad_(backward)
    with torch.set_grad_enabled(backward):
        logits = network(moved)
    if backward:
        torch.autograd.grad(logits.sum(), moved)
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - started


def halved(size: int) -> int:
    """Return half the number of images a pass, or raise `MethodError` if it is one already."""
    if size == 1:
        raise MethodError(
            "Not even one image fits into memory; load the dataset at a smaller size "
            "or use device cpu."
        )
    return size // 2
