"""Distance methods by name. To add one: a file in this folder that registers a `Method`, and its import below."""

from rbcore.distances import exact, foolbox_attacks, minimal, smoothing, smoothing_attack  # noqa: F401  (import registers)
from rbcore.distances.base import (
    METHODS,
    Batch,
    Method,
    Parameter,
    Parameters,
    Proposal,
    method_spellings,
    resolve_method,
    spell_method,
)
from rbcore.distances.engine import Engine, Estimates, estimate_arrays
from rbcore.distances.passes import in_batches

__all__ = [
    "METHODS",
    "Batch",
    "Engine",
    "Estimates",
    "Method",
    "Parameter",
    "Parameters",
    "Proposal",
    "estimate_arrays",
    "in_batches",
    "method_spellings",
    "resolve_method",
    "spell_method",
]
