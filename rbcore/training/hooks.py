"""What a mitigation does to a training: functions that the loop calls, none of them in a plain run.

None of them may touch the stream of the order and the augmentation: batches stay those of the
plain run. What they draw comes from the stream they are given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from rbcore.store import Numbers

Term = tuple[float, bool]
"""The value of a further term of the loss in one step, and whether its gradient was shortened."""


def cross_entropy(logits: Tensor, labels: Tensor, drawn: Any) -> Tensor:
    """Return the mean cross entropy of a part of a batch."""
    return nn.functional.cross_entropy(logits, labels)


def nothing(terms: list[Term], n_steps: int) -> Numbers:
    """Return no facts."""
    return {}


@dataclass(frozen=True)
class Hooks:
    """Where a mitigation acts; what is left out is that of the plain run.

    Attributes
    ----------
    draw
        ``draw(rows, images, random)``: one value an image that the step needs, shape (n, ...),
        as the start of an attack or a weight. It is handed to ``images`` and ``loss``.
    images
        ``images(network, images, labels, drawn)``: the images to learn from instead, all of a
        batch before the step changes batch statistics.
    loss
        ``loss(logits, labels, drawn)``: the mean loss of a part of a batch.
    term
        ``term(network, images, labels, rows, micro_batch)``: adds the gradient of a further term
        of the loss to the parameters', in parts of at most ``micro_batch`` images, and returns its
        value, or None where it cannot be computed.
    joined_rows
        ``joined_rows(batch, rows, random)``: rows of the training split, ``rows``, that join a
        batch for the term alone.
    history
        ``history(terms, n_steps)``: what the history says of an epoch, in numbers that are
        deterministic across CPUs.
    remedy
        What else may have made the loss explode, to go on with: ``, its weight alpha (1)``.
    """

    draw: Callable[[np.ndarray, Tensor, np.random.Generator], Tensor] | None = None
    images: Callable[[nn.Module, Tensor, Tensor, Any], Tensor] | None = None
    loss: Callable[[Tensor, Tensor, Any], Tensor] = cross_entropy
    term: Callable[[nn.Module, Tensor, Tensor, np.ndarray, int | None], Term | None] | None = None
    joined_rows: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray] | None = None
    history: Callable[[list[Term], int], Numbers] = nothing
    remedy: str = ""


PLAIN = Hooks()
