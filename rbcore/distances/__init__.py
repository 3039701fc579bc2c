"""Distance methods by name.

To add one: a file in this folder that registers a `Method`, and its import below.
"""

# Their import registers them, in the order in which pickers and listings show them.
# isort: off
from rbcore.distances import exact  # noqa: F401
from rbcore.distances.attacks import foolbox, minimal  # noqa: F401
from rbcore.distances.smoothing import certify, attack  # noqa: F401

# isort: on
from rbcore.distances.batching import in_batches
from rbcore.distances.engine import Engine, Estimates, estimate_arrays
from rbcore.distances.method import (
    METHODS,
    AttackResult,
    Batch,
    Method,
    Parameters,
    format_method,
    method_spellings,
    resolve_method,
)

__all__ = [
    "METHODS",
    "AttackResult",
    "Batch",
    "Engine",
    "Estimates",
    "Method",
    "Parameters",
    "estimate_arrays",
    "format_method",
    "in_batches",
    "method_spellings",
    "resolve_method",
]
