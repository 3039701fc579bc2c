"""Distance methods by name.

To add one: a file in this folder with its ``run``, and a `Method` in
`rbcore.distances.method_parameters`. The engine that runs them is `rbcore.distances.engine`.
"""

from rbcore.distances import method_parameters  # noqa: F401  (declares them)
from rbcore.distances.base import (
    METHODS,
    AttackResult,
    Batch,
    Method,
    format_method,
    method_spellings,
    resolve_method,
)

__all__ = [
    "METHODS",
    "AttackResult",
    "Batch",
    "Method",
    "format_method",
    "method_spellings",
    "resolve_method",
]
