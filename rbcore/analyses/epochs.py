"""Whether the sign that sigma has at the last epoch is there at the first and in the middle (section 7.2)."""

from collections.abc import Sequence

import pandas as pd

from rbcore.analyses.agreement import paired_sigmas
from rbcore.api import stored_distances
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.models.checkpoints import Run
from rbcore.recipes import named_epochs


def epoch_pairs(
    run: Run, method: str, partitions: Sequence[str], epoch: str, *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame | None:
    """Pair sigma at the first or middle epoch with sigma at the last, over the images that both tables hold.

    Parameters
    ----------
    run, method
        As `rbcore.api.stored_distances`.
    partitions, policy
        As `rbcore.analyses.agreement.paired_sigmas`.
    epoch
        ``first | middle``.

    Returns
    -------
    pandas.DataFrame or None
        As `paired_sigmas`: ``sigma_first`` is that of the epoch, ``sigma_second`` that of the last. None where distances of
        either epoch are not stored, or the run has one epoch only.
    """
    number, last = named_epochs(run.n_epochs)[epoch], run.n_epochs
    if number == last or not {number, last} <= set(run.epochs):
        return None
    early, late = stored_distances(run, number, method), stored_distances(run, last, method)
    if early is None or late is None:
        return None
    return paired_sigmas(early.rows, late.rows, partitions, policy=policy)
