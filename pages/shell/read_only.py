"""Whether this server only shows: ``RBCORE_READ_ONLY=1``, for a class that should look and start nothing."""

import os

from rbcore.errors import RobustnessBiasError

SENTENCE = (
    "This server only shows what is computed already: whoever started it set RBCORE_READ_ONLY=1. "
    "Nothing can be trained, estimated, uploaded or deleted here."
)


def is_read_only() -> bool:
    """Whether nothing may be computed, uploaded or deleted from the pages."""
    return os.environ.get("RBCORE_READ_ONLY", "").strip() not in ("", "0")


def refuse_if_read_only() -> None:
    """Raise where the server only shows: hidden buttons keep nobody out, so whatever changes the cache asks here first."""
    if is_read_only():
        raise RobustnessBiasError(SENTENCE)
