"""What a network may return, and how that is read as logits."""

from rbcore.outputs.contract import KINDS, LOGITS, N_CHECKED, read_outputs, refuse_not_finite
from rbcore.outputs.reading import Network, Reading, adapted

__all__ = [
    "KINDS",
    "LOGITS",
    "N_CHECKED",
    "Network",
    "Reading",
    "adapted",
    "read_outputs",
    "refuse_not_finite",
]
