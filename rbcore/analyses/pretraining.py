"""Sigma of a pre-trained against a from-scratch run of the same model (section 8.2)."""

import pandas as pd

from rbcore.distances.stored import stored_distances
from rbcore.inference import compare_bias
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.runs.checkpoints import Run, list_runs

FROM_SCRATCH = "none"


def pretraining_pairs(dataset: str) -> list[tuple[Run, Run]]:
    """Return (from scratch, pre-trained): the newest such runs of each model on the same data.

    They are complete and plain, in the order of the models' names.
    """
    scratch: dict[tuple[str, str], Run] = {}
    started: dict[tuple[str, str], Run] = {}
    for run in list_runs(dataset):
        if run.is_plain and run.is_complete and run.facts.weights is not None:
            runs = scratch if run.facts.weights == FROM_SCRATCH else started
            runs.setdefault((run.model, run.facts.dataset_fingerprint), run)
    return [(scratch[key], started[key]) for key in sorted(scratch.keys() & started.keys())]


def compare_pretraining(
    scratch: Run,
    pretrained: Run,
    method: str,
    by: str,
    *,
    epoch: str = "last",
    policy: Policy = DEFAULT_POLICY,
) -> pd.DataFrame | None:
    """Compare sigma of every group, pre-trained minus from scratch, on the same images.

    Returns
    -------
    pandas.DataFrame or None
        As `rbcore.inference.compare_bias`; None where distances of either run are not stored.
    """
    tables = [stored_distances(run, epoch, method) for run in (scratch, pretrained)]
    if tables[0] is None or tables[1] is None:
        return None
    return compare_bias(tables[0].rows, tables[1].rows, by, policy=policy)
