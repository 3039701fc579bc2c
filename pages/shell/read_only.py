"""Read-only mode, ``RBCORE_READ_ONLY=1``: everything is shown and nothing can be changed."""

import os

from rbcore.errors import RobustnessBiasError

SENTENCE = (
    "This server is read-only: it shows what is already computed. Whoever started it set "
    "RBCORE_READ_ONLY=1, so nothing can be trained, estimated, uploaded or deleted here."
)


def is_read_only() -> bool:
    """Whether nothing may be computed, uploaded or deleted from the pages."""
    return os.environ.get("RBCORE_READ_ONLY", "").strip() not in ("", "0")


def refuse_if_read_only() -> None:
    """Raise in read-only mode; whatever changes the cache calls this first."""
    if is_read_only():
        raise RobustnessBiasError(SENTENCE)
