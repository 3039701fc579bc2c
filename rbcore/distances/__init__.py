"""Distance methods by name. To add one: a file in this folder that registers a `Method`, and its import below."""

from rbcore.distances import exact, foolbox_attacks  # noqa: F401  (their import registers them)
from rbcore.distances.base import METHODS, Method, Parameter, Parameters, Proposal, method_spellings, resolve_method
from rbcore.distances.engine import Engine, Estimates, estimate_arrays, in_batches

__all__ = [
    "METHODS",
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
]
