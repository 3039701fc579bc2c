"""Estimate distances: compute what the store lacks, part by part, and join it with what it holds.

A call that was stopped goes on where it stopped, and calls at the same time share what they find.
Many machines share an estimate by `estimate_rows`, each with rows of its own.
"""

import hashlib
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch

from rbcore import store
from rbcore.datasets import Dataset, attributes
from rbcore.distances import Method, format_method, resolve_method
from rbcore.distances.batching import in_batches
from rbcore.distances.best import BEST
from rbcore.distances.engine import Engine
from rbcore.distances.networks import CheckedNetwork
from rbcore.distances.result_tables import in_order, result_rows, sample_ids, with_attributes
from rbcore.distances.samples import Samples
from rbcore.distances.stored import best_of, table_key
from rbcore.errors import DatasetError, MethodError
from rbcore.models import MODELS, Model
from rbcore.norms import COLUMN
from rbcore.outputs import LOGITS
from rbcore.parameters import Value
from rbcore.runtime import Cancel, Progress, never, no_progress
from rbcore.sampling import Rows
from rbcore.store import Computed, Provenance, TableKey


def estimate_distances(
    model: Model,
    dataset: Dataset,
    method: str,
    rows: Rows | None = None,
    *,
    batch_size: int | None = None,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    **parameters: Any,
) -> pd.DataFrame:
    """Estimate each test image's (or another split's) L2 distance to the decision boundary.

    What the store holds is not computed again.

    Parameters
    ----------
    model, dataset
        As `load_model` and `load_dataset` return them.
    method
        ``method`` or ``method:preset``, as ``python -m rbcore methods`` lists them: ``minimal``,
        ``deepfool:paper``; or ``best``, which computes nothing and joins the smallest upper bounds
        that the store holds (see `rbcore.distances.best.best_table`).
    rows
        Which images; all of the test split where nothing is said. An attack's last fallback walks
        to images of the same split. Images drawn by ``at_least`` and ``by`` carry a
        ``sampling_weight``, by which every measure corrects; see `rbcore.sampling`.
    batch_size
        Images a pass through the network; found by measuring where not given, and recorded. Another
        size uses other kernels and moves a distance by about 1e-5 of itself.
    progress, cancel
        Called with the images done; a cancelled call keeps its finished batches.
    **parameters
        The method's own parameters; and the fields of `rbcore.Rows`, where ``rows`` is not given:
        ``limit=300`` stands for ``rows=Rows(limit=300)``.

    Returns
    -------
    pandas.DataFrame
        One row an image: ``sample_id``, ``label``, ``prediction``, ``is_correct``, ``distance``
        (float64, L2 in [0, 1] pixel space at the model's input resolution; NaN where misclassified
        or failed), ``bound`` (upper | lower | exact), ``status`` (exact | found | fallback |
        failed | misclassified | certified | abstained | overruled), ``perturbed_prediction`` (-1
        where there is none), the method's own columns, ``class`` and the dataset's attributes. By a
        method about the smoothed classifier g ``prediction`` and ``is_correct`` are g's, and the
        network's own class stands in ``network_prediction``.

    Raises
    ------
    MethodError
        If the method does not apply to this model, or a parameter is out of range.
    DatasetError
        If the dataset has no such split.
    StoreError
        If the cache cannot be read or written.
    Cancelled
        If ``cancel`` said so.

    Examples
    --------
    >>> import rbcore as rb
    >>> digits = rb.load_dataset("digits")
    >>> model = rb.load_model("small_cnn", digits)
    >>> few = rb.estimate_distances(model, digits, "deepfool", limit=30)
    >>> same = rb.estimate_distances(model, digits, "deepfool", rb.Rows(limit=30))
    >>> len(few), few.equals(same)
    (30, True)
    """
    asked, parameters = Rows.among(rows, parameters)
    split, order = asked.split, dataset.rows(asked.split)
    wanted = asked.chosen(order, dataset.samples)
    if method == BEST:
        table = best_of(model, dataset, split).rows
    else:
        chosen, values = resolve_method(method, parameters)
        estimate_rows(
            *(model, dataset, format_method(chosen, values), wanted),
            by=asked.by,
            batch_size=batch_size,
            progress=progress,
            cancel=cancel,
        )
        key = table_key(model.weights_sha256, dataset.fingerprint, split, chosen, values)
        table = _joined(model, dataset, key, order)
        table.attrs[COLUMN] = key.norm.value
    of_wanted = table[table["sample_id"].isin(sample_ids(dataset, wanted))]
    return with_attributes(of_wanted, dataset, split, asked.by)


def estimate_rows(
    model: Model,
    dataset: Dataset,
    method: str,
    rows: np.ndarray,
    *,
    by: str | None = None,
    batch_size: int | None = None,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> int:
    """Estimate the distances of given rows, and keep them for `estimate_distances` to join.

    Each finished batch is written as a part that is named after its samples. Parts may be made in
    any order, by several processes or on several machines that share a cache, and again: what the
    store holds is not computed again.

    Parameters
    ----------
    model, dataset, batch_size, progress, cancel
        As of `estimate_distances`.
    method
        With all its settings: ``minimal:fast candidates=4``.
    rows
        Row numbers of one split, int64, shape (n,): a chunk of ``dataset.rows("test")``.
    by
        The partition by which the rows were drawn, if they were drawn so that no group has too
        few; see `rbcore.sampling`.

    Returns
    -------
    int
        How many of the rows were computed now.

    Raises
    ------
    MethodError
        If the method does not apply to this model, or a parameter is out of range.
    DatasetError
        If the rows are not of one split.
    StoreError
        If the cache cannot be read or written.
    Cancelled
        If ``cancel`` said so.

    Examples
    --------
    >>> import rbcore as rb
    >>> digits = rb.load_dataset("digits")
    >>> model = rb.load_model("small_cnn", digits)
    >>> rb.estimate_rows(model, digits, "deepfool", digits.rows("test")[20:40])  # ships
    0
    """
    chosen, values = resolve_method(method)
    if batch_size is not None and batch_size < 1:
        raise MethodError(
            f"batch_size={batch_size} is not a valid batch size; give a number from 1."
        )
    split = _split_of(dataset, rows)
    key = table_key(model.weights_sha256, dataset.fingerprint, split, chosen, values)
    stored, finished = store.read_table(key), store.read_parts(key)
    done = {sample for table in (stored, *finished) if table for sample in table.rows["sample_id"]}
    missing = rows[[sample not in done for sample in sample_ids(dataset, rows)]]
    what = f"{chosen.title} on {model.facts.model}, epoch {model.facts.epoch}"
    n_done = len(rows) - len(missing)

    def report(n: int) -> None:
        nonlocal n_done
        n_done += n
        progress(n_done, len(rows), what)

    report(0)
    attributes.keep_samples(dataset)
    engine = engine_for(model, dataset, split, chosen, values, cancel, batch_size)
    for batch in in_batches(missing, engine.rows_a_batch) if len(missing) else ():
        started = time.perf_counter()
        found = result_rows(dataset, engine.estimate(batch, report), chosen)
        counts = engine.network.take_counts()
        history = Computed(
            device=str(model.device),
            threads=torch.get_num_threads(),
            dtype="float32",
            batch_size=engine.batch_size,
            python=platform.python_version(),
            torch=version("torch"),
            foolbox=version("foolbox"),
            numpy=version("numpy"),
            pandas=version("pandas"),
            strata=by,
            rows=len(batch),
            seconds=time.perf_counter() - started,
            n_forward=counts["n_forward"],
            n_backward=counts["n_backward"],
        )
        store.write_part(key, found, history)
    return len(missing)


def _split_of(dataset: Dataset, rows: np.ndarray) -> str:
    splits = list(dataset.samples["split"].iloc[rows].unique())
    if len(splits) != 1:
        raise DatasetError(
            f"The {len(rows):,} rows are of {' and '.join(splits) or 'no split'}; give rows of one "
            "split."
        )
    return str(splits[0])


def _joined(model: Model, dataset: Dataset, key: TableKey, order: np.ndarray) -> pd.DataFrame:
    """Return what the store holds now, whoever computed it, in the given order of rows.

    Parts are joined into the table.
    """
    if not store.read_parts(key):
        stored = store.read_table(key)
        return in_order(dataset, [stored.rows] if stored else [], order)
    with store.locked(key):
        stored, parts = store.read_table(key), store.read_parts(key)
        tables = ([stored.rows] if stored else []) + [part.rows for part in parts]
        table = in_order(dataset, tables, order)
        if parts:  # another call may have joined them already
            held = set(stored.rows["sample_id"]) if stored else set()
            # A kill can leave parts of what the table holds.
            new = [part for part in parts if not held.issuperset(part.rows["sample_id"])]
            before = stored.provenance.computed if stored else ()
            histories = [*before, *(part.provenance for part in new)]
            store.write_table(table, key, _provenance(model, dataset, histories))
            store.remove_parts(key, parts)
    return table


def _provenance(model: Model, dataset: Dataset, histories: list[Computed]) -> Provenance:
    names = ("dataset", "size", "seed", "model", "run", "epoch")
    return Provenance(
        **{name: getattr(model.facts, name) for name in names},
        attributes=attributes.attribute_hashes(dataset.samples),
        computed=store.summed(histories),
    )


def engine_for(
    model: Model,
    dataset: Dataset,
    split: str,
    method: Method,
    parameters: Mapping[str, Value],
    cancel: Cancel,
    batch_size: int | None,
) -> Engine:
    """Return the engine for a split: its fallback walks to images of that split."""
    network = CheckedNetwork(
        model.network,
        device=model.device,
        n_classes=len(dataset.classes),
        outputs=_known_outputs(model),
        cancel=cancel,
    )
    samples = Samples(
        dataset.pixels,
        dataset.samples["label"].to_numpy(np.int64),
        fallback_targets=np.sort(dataset.rows(split)),
        seeds=_seeds(dataset),
    )
    return Engine(network, samples, method, parameters, batch_size=batch_size)


def _known_outputs(model: Model) -> str | None:
    """Return ``logits`` for what ships and for what was decided on import.

    None for what has to be found out.
    """
    is_ours = MODELS[model.facts.model].source_sha256 is None
    return LOGITS if is_ours or model.facts.outputs is not None else None


def _seeds(dataset: Dataset) -> np.ndarray:
    """Return one number a row that depends on the sample's id alone."""
    digests = (hashlib.sha256(sample.encode()).digest() for sample in dataset.samples["sample_id"])
    return np.array(
        [int.from_bytes(digest[:8], "little") >> 1 for digest in digests], dtype=np.int64
    )
