"""The fairness regularizer (paper, section 9 and appendix B), declared.

A term of the loss pushes a group as far from the boundary as the rest; its formula and its gradient
are in `rbcore.training.mitigations.regularizer_term`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from rbcore.errors import TrainingError
from rbcore.parameters import setting
from rbcore.registry import unknown_name
from rbcore.store import Numbers
from rbcore.training.mitigations.base import MITIGATIONS, GroupMitigation
from rbcore.training.mitigations.groups import whom_in_a_name

if TYPE_CHECKING:
    from rbcore.training.hooks import Hooks, Term

FORMS = {
    "logit": "|f_y| / ||grad f_y||, the paper's (equation 8)",
    "runner_up": "(f_y - f_r) / ||grad (f_y - f_r)|| with r the runner-up",
    "margin": (
        "min over k of (f_y - f_k) / ||grad (f_y - f_k)||, as many backward passes as classes"
    ),
}
"""How a distance is linearized, for people."""
OVER = ("worst", "mean")
"""How the differences of all groups become one: the largest, or their mean."""


@dataclass(frozen=True)
class Regularizer(GroupMitigation):
    """The settings of the term.

    Attributes
    ----------
    by, group
        The protected group P of a partition; no group for every group in turn against its rest.
    alpha
        Weight of the term, from 0; with 0 the weights are those of the plain run, and the term
        is still recorded.
    tau
        Distance to the boundary at which the groups are compared, L2 in [0, 1] pixel space.
    temperature
        T: the distance over which the relaxed indicator falls from 0.73 to 0.27, L2 in pixel space.
    form
        One of `FORMS`.
    over
        ``worst`` or ``mean`` over all groups; None for one protected group.
    clip
        Largest L2 norm over all weights of the term's gradient, before alpha; a longer one is
        shortened to it. 0: never. A distance is a margin over a gradient's norm, which is small in
        an untrained network, so that without it the first steps can destroy the network (seen with
        alpha = 1 on the digits).

    Examples
    --------
    >>> import rbcore as rb
    >>> fair = rb.Regularizer("lighting", "dim", alpha=0.3)
    >>> fair.label, fair.whom
    ('alpha 0.3', ' for lighting = dim')
    """

    kind: ClassVar = "regularizer"
    title: ClassVar = "fairness regularizer"
    meaning: ClassVar = (
        "A term of the loss that pushes a group as far from the boundary as the rest "
        "(paper, section 9)."
    )
    option: ClassVar = "regularize"
    strength: ClassVar = "alpha"
    grid: ClassVar = {"alpha": (0.1, 1.0, 10.0), "tau": (0.5,)}
    reported: ClassVar = ("regularizer_term", "regularizer_steps", "regularizer_skipped")

    alpha: float = setting(1.0, "weight of the term", 0, 1e6)
    tau: float = setting(0.5, "distance at which the groups are compared, L2 in pixels", 0, 1e4)
    temperature: float = setting(
        0.1, "distance over which the relaxed indicator falls, L2 in pixels", 1e-6, 1e4
    )
    form: str = setting("runner_up", "how a distance is linearized", choices=tuple(FORMS))
    over: str | None = setting(
        None, "of all groups: the worst one (by default) or their mean", choices=OVER
    )
    clip: float = setting(1.0, "longest gradient of the term, before alpha; 0: never cut", 0, 1e6)

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown_name("form of the regularizer", self.form, list(FORMS))
        if self.group is None and self.over not in OVER:
            raise unknown_name("way to join all groups", self.over, list(OVER))
        super().__post_init__()
        if self.group is not None and self.over is not None:
            raise TrainingError(
                f"over={self.over!r} joins all groups, but one is protected: "
                f"{self.by}={self.group}. Leave out one of the two."
            )

    @classmethod
    def protecting(cls, by: str, group: str | None, given: Mapping[str, Any]) -> Self:
        """Return the regularizer for a group, or for the worst one where nothing else is said."""
        return super().protecting(by, group, {**({} if group else {"over": OVER[0]}), **given})

    @property
    def suffix(self) -> str:
        """What it adds to the name of the plain run: ``+lighting=dim-a1-t0.5-runner_up``."""
        whom = self.spelled if self.group is not None else f"{self.by}-{self.over}"
        relaxed = (
            "" if self.temperature == Regularizer.temperature else f"-temp{self.temperature:g}"
        )
        clipped = "" if self.clip == Regularizer.clip else f"-clip{self.clip:g}"
        return (
            f"+{whom_in_a_name(whom)}-a{self.alpha:g}-t{self.tau:g}-{self.form}{relaxed}{clipped}"
        )

    def hooks(self, samples: pd.DataFrame) -> Hooks:
        """Return the term on every batch, and the images that join one that has few of a group."""
        from rbcore.training.hooks import Hooks
        from rbcore.training.mitigations import regularizer_term as terms

        sides = terms.group_assignment(self, samples)
        clip = f"its clip ({self.clip:g})" if self.clip else "clip its gradient (now never)"
        return Hooks(
            term=lambda network, images, labels, rows, micro_batch: terms.add_gradient(
                network, images, labels, sides.codes_of(rows, images.device), sides, micro_batch
            ),
            joined_rows=lambda batch, rows, random: terms.oversampled_rows(
                sides.codes, batch, rows, random
            ),
            history=_history,
            remedy=f", the regularizer's weight alpha ({self.alpha:g}) or {clip}",
        )


def _history(terms: list[Term], n_steps: int) -> Numbers:
    """Return the term's mean, without alpha, over the steps in which it could be computed.

    With it: these steps, those of them whose gradient was shortened, and the steps without it.
    """
    return {
        "regularizer_term": float(np.mean([value for value, _ in terms])) if terms else None,
        "regularizer_steps": len(terms),
        "regularizer_clipped": sum(is_clipped for _, is_clipped in terms),
        "regularizer_skipped": n_steps - len(terms),
    }


MITIGATIONS.add(Regularizer.kind, Regularizer)
