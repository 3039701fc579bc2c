"""What the store holds of a run: its distances by a method, and which methods there are."""

from collections.abc import Mapping
from typing import Any

from rbcore import store
from rbcore.datasets import Dataset, attributes
from rbcore.distances import Method, resolve_method
from rbcore.distances.best import BEST, best_table
from rbcore.distances.best import stored_methods as methods_of
from rbcore.errors import MethodError
from rbcore.models import Model
from rbcore.runs.checkpoints import Run
from rbcore.sampling import SPLIT
from rbcore.store import TableKey


def table_key(
    weights_sha256: str,
    dataset_fingerprint: str,
    split: str,
    method: Method,
    parameters: Mapping[str, Any],
) -> TableKey:
    """Return what determines a table's numbers, and so its name in the store."""
    return TableKey(
        weights=weights_sha256,
        dataset=dataset_fingerprint,
        split=split,
        method=method.name,
        version=method.version,
        parameters=dict(parameters),
        norm=method.norm,
    )


def stored_distances(
    run: Run, epoch: str | int, method: str, *, split: str = SPLIT, **parameters: Any
) -> store.StoredTable | None:
    """Return what the store holds of a run's epoch and a method, or None.

    No image and no weight is read.

    The table's ``rows`` have the columns that `estimate_distances` returns, and may cover a part of
    the split. Class and attributes are those of today's files, see `rbcore.datasets.attributes`.
    The method ``best`` joins what the store holds of all attacks, see
    `rbcore.distances.best.best_table`.

    Examples
    --------
    >>> import rbcore as rb
    >>> (run,) = rb.list_runs("digits", "small_cnn")
    >>> stored = rb.stored_distances(run, "last", "minimal")
    >>> len(stored.rows), stored.rows["distance"].dtype
    (360, dtype('float64'))
    >>> rb.stored_distances(run, "last", "minimal", steps=12) is None
    True
    """
    sidecar = run.sidecar(epoch)
    weights, fingerprint = sidecar.sha256, sidecar.dataset_fingerprint
    stored: store.StoredTable | None
    if method == BEST:
        stored = best_table(weights, fingerprint, split)
    else:
        chosen, values = resolve_method(method, parameters)
        stored = store.read_table(table_key(weights, fingerprint, split, chosen, values))
    return None if stored is None else attributes.joined(stored, fingerprint, list(sidecar.classes))


def stored_methods(run: Run, epoch: str | int) -> list[str]:
    """Return the methods that are stored of a run's epoch and the test split.

    As they are spelled, with parameters other than defaults.

    Examples
    --------
    >>> import rbcore as rb
    >>> (run,) = rb.list_runs("digits", "small_cnn")
    >>> rb.stored_methods(run, "last")
    ['deepfool', 'minimal', 'smoothing']
    """
    sidecar = run.sidecar(epoch)
    return sorted(methods_of(sidecar.sha256, sidecar.dataset_fingerprint, SPLIT))


def best_of(model: Model, dataset: Dataset, split: str) -> store.BestTable:
    """Return the best of all attacks that are stored on a network and a split.

    Raises
    ------
    MethodError
        If none is stored.
    """
    found = best_table(model.weights_sha256, dataset.fingerprint, split)
    if found is None:
        raise MethodError(
            f"The store holds no attack on {model.facts.model}, epoch {model.facts.epoch}, "
            "so there is no best one. Estimate distances with minimal or deepfool first."
        )
    return found
