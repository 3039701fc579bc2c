"""What every long call takes: a way to report progress, a way to be stopped, and a device.

And memory that stays at hand.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rbcore.errors import Cancelled, DeviceError

if TYPE_CHECKING:
    import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""What glibc's ``mallopt`` calls its settings."""
KEPT_BYTES, AHEAD_BYTES = 2**31 - 1, 2**27

Progress = Callable[[int, int, str], None]
"""Called as ``progress(done, total, what)``: whole units done, units in all, and a short text."""

Cancel = Callable[[], bool]
"""Called between units of work; a true answer stops the call with `Cancelled`."""


def no_progress(done: int, total: int, what: str) -> None:
    """Report nothing."""


def never() -> bool:
    """Never ask to stop."""
    return False


def stop_if(cancel: Cancel) -> None:
    """Raise `Cancelled` if the caller asked to stop."""
    if cancel():
        raise Cancelled("Stopped on request; everything finished until then is kept.")


def resolve_device(device: str = "auto") -> torch.device:
    """Return the device for ``auto | cpu | cuda[:N]``, or raise `DeviceError` if it is absent."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = None
    if resolved is None or resolved.type not in ("cpu", "cuda"):
        raise DeviceError(f"{device!r} is not a device; use auto, cpu, cuda or cuda:N.")
    if resolved.type == "cuda":
        torch.backends.cudnn.allow_tf32 = (
            False  # a distance is measured in float32, as its provenance says
        )
    n_gpus = torch.cuda.device_count()
    if resolved.type == "cuda" and (resolved.index or 0) >= n_gpus:
        raise DeviceError(
            f"The device {device!r} was asked for, but torch sees {n_gpus} CUDA "
            "devices; use cpu or auto."
        )
    return resolved


def available_devices() -> list[str]:
    """Return the devices of this machine, the fastest first: ``cuda:0``, ..., ``cpu``."""
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] + ["cpu"]


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of torch says that memory ran out, on the GPU or on the CPU."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def keep_freed_memory() -> bool:
    """Let this process keep up to 2 GiB that it has freed, where its C library is glibc.

    Return whether that was granted.

    As it is set, glibc hands the memory of every large tensor back to the system and asks for it
    anew at the next step, which takes about a fifth of a training step's processor time. Programs
    call this, the library never does: it is for the whole process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    settings = (
        (M_MMAP_THRESHOLD, KEPT_BYTES),
        (M_TRIM_THRESHOLD, KEPT_BYTES),
        (M_TOP_PAD, AHEAD_BYTES),
    )
    granted = [mallopt(name, value) == 1 for name, value in settings]
    return all(granted)
