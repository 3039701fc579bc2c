"""A network in evaluation mode while it trains."""

from rbcore.outputs.modes import evaluating

__all__ = ["evaluating"]
