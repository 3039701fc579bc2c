"""How the questions are answered that the paper leaves open: a `Policy`, and its choices.

`rbcore.measures.robustness` applies it: `is_counted` and `split_groups`.
"""

import sys
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from rbcore.errors import MeasureError
from rbcore.registry import unknown_name

CHOICES = {
    "misclassified": ("zero", "exclude"),
    "rest": ("pooled", "mean", "sum"),
    "failed": ("exclude", "raise"),
    "correct_by": ("own", "network"),
}


@dataclass(frozen=True)
class Policy:
    """How the questions are answered that the paper leaves open.

    Attributes
    ----------
    misclassified
        ``zero``: a misclassified sample stays in the group with distance 0 (eq. 4-6); ``exclude``:
        it is left out (eq. 1-2).
    rest
        What a group is compared with: ``pooled``, all samples outside it; ``mean`` or ``sum`` of
        the other groups' curves.
    tau_max
        Upper limit of the area in L2, or None for the whole area.
    failed
        ``exclude``: samples without a distance leave numerator and denominator; ``raise``: more
        than 1% of them in a group raises `MeasureError`.
    correct_by
        Whose class is compared with the label. ``own``: that of the classifier the distances are
        of, for certificates the smoothed classifier g; ``network``: that of the network f, whatever
        the distances are of.

    Examples
    --------
    >>> import rbcore as rb
    >>> (run,) = rb.list_runs("digits", "small_cnn")
    >>> distances = rb.stored_distances(run, "last", "minimal").rows
    >>> only_correct = rb.Policy(misclassified="exclude")
    >>> bias = rb.robustness_bias(distances, by="class", policy=only_correct)
    >>> int(bias["n_counted"].sum()) == int(distances["is_correct"].sum())
    True
    """

    misclassified: Annotated[str, Field(description="zero or exclude.")] = "zero"
    rest: Annotated[str, Field(description="pooled, mean or sum.")] = "pooled"
    tau_max: Annotated[
        float | None, Field(description="Upper limit of tau, L2; none by default.")
    ] = None
    failed: Annotated[str, Field(description="exclude or raise.")] = "exclude"
    correct_by: Annotated[
        str,
        Field(description="own or network: whose class must be the label, for certificates."),
    ] = "own"

    def __post_init__(self) -> None:
        """Refuse values that are not among the choices."""
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown_name(f"policy {name}", getattr(self, name), list(choices))
        if self.tau_max is not None and not 0 < self.tau_max <= sys.float_info.max:
            raise MeasureError(
                f"tau_max={self.tau_max} is not a valid upper limit; give a "
                "positive number or None."
            )


DEFAULT_POLICY = Policy()
