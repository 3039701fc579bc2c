"""Adversarial training: every step trains on images perturbed by an attack.

It widens every image's distance alike and knows no group, which makes it the baseline for whatever
treats groups apart (Madry et al. 2018). The attack is `rbcore.training.mitigations.pgd`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from rbcore.parameters import setting
from rbcore.training.mitigations.base import MITIGATIONS, Mitigation

if TYPE_CHECKING:
    from rbcore.training.hooks import Hooks


@dataclass(frozen=True)
class AdversarialTraining(Mitigation):
    """The settings of the attack.

    Attributes
    ----------
    epsilon
        Farthest an image is moved, L2 in [0, 1] pixel space, above 0.
    steps
        Gradient steps an image, each of length 2.5 epsilon / steps; with the step on the
        weights a batch takes ``steps`` + 1 passes forward and backward, so 3 cost about what
        the regularizer does.

    Examples
    --------
    >>> import rbcore as rb
    >>> rb.AdversarialTraining(epsilon=0.25).suffix
    '+adversarial-e0.25'
    """

    kind: ClassVar = "adversarial"
    title: ClassVar = "adversarial training"
    meaning: ClassVar = (
        "Every step trains on images perturbed by an attack; it uses no group labels "
        "(Madry et al. 2018)."
    )
    option: ClassVar = "adversarial"
    metavar: ClassVar = "EPSILON"
    strength: ClassVar = "epsilon"
    grid: ClassVar = {"epsilon": ()}

    epsilon: float = setting(0.5, "farthest an image is moved, L2 in pixels", 1e-6, 1e4)
    steps: int = setting(3, "gradient steps of the attack", 1, 1000, option="pgd-steps")

    @property
    def suffix(self) -> str:
        """What it adds to the name of the plain run: ``+adversarial-e0.5``."""
        longer = "" if self.steps == AdversarialTraining.steps else f"-steps{self.steps}"
        return f"+adversarial-e{self.epsilon:g}{longer}"

    def hooks(self, samples: pd.DataFrame) -> Hooks:
        """Return the attack on every batch."""
        from rbcore.training.hooks import Hooks
        from rbcore.training.mitigations.pgd import perturbed, random_starts

        return Hooks(
            draw=lambda rows, images, random: random_starts(
                tuple(images.shape), self.epsilon, random
            ),
            images=lambda network, images, labels, starts: perturbed(
                network, images, labels, starts, self
            ),
            history=lambda terms, n_steps: {"attack_passes": self.steps * n_steps},
        )


MITIGATIONS.add(AdversarialTraining.kind, AdversarialTraining)
