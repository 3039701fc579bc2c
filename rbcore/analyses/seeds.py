"""What another seed of the training changes: sigma over the runs that differ in nothing else."""

import pandas as pd

from rbcore.distances.stored import stored_distances
from rbcore.inference import bias_over_runs
from rbcore.measures import DEFAULT_POLICY, Policy, sigma_bias, split_groups
from rbcore.runs.checkpoints import Run, list_runs

SAME = (
    *("classes", "n_train", "n_test", "size", "validation"),
    *("recipe", "n_epochs", "weights", "mitigation"),
)
"""Facts that runs with different seeds must share."""


def runs_over_seeds(run: Run) -> list[Run]:
    """Return the complete runs that differ from a run in nothing but their seed, by seed.

    The run stands for its own seed, the newest run for each other one. Imported weights have no
    seed of a training.
    """
    newest = {run.facts.seed: run}
    if run.facts.is_imported:
        return [run]
    for other in list_runs(run.dataset, run.model):
        is_alike = all(getattr(other.facts, name) == getattr(run.facts, name) for name in SAME)
        if other.is_complete and is_alike:
            newest.setdefault(other.facts.seed, other)
    return [newest[seed] for seed in sorted(newest)]


def bias_over_seeds(
    run: Run, epoch: int, method: str, by: str, *, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """Summarize sigma of every group over `runs_over_seeds`, at one epoch.

    Parameters
    ----------
    run, epoch, method
        As `rbcore.stored_distances`; a run counts where all its test images are measured.
    by, policy
        As `rbcore.robustness_bias`.

    Returns
    -------
    pandas.DataFrame
        As `rbcore.inference.bias_over_runs`.

    Raises
    ------
    MeasureError
        If fewer than two runs count, and as `rbcore.inference.bias_over_runs` and
        `rbcore.measures.split_groups`.
    """
    tables = []
    for other in runs_over_seeds(run):
        stored = stored_distances(other, epoch, method) if epoch in other.epochs else None
        if stored is not None and len(stored.rows) == other.facts.n_test:
            grouped = split_groups(stored.rows, by, policy)
            tables.append(pd.DataFrame({"group": grouped.groups, "sigma": sigma_bias(grouped)}))
    return bias_over_runs(tables)
