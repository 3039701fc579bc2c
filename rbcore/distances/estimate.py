"""The calls everything is built from: they join datasets, models, distances and the store, and know no mathematics."""

import hashlib
import platform
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch

from rbcore import sampling, store
from rbcore.datasets import Dataset, attributes
from rbcore.distances import Method, Parameters, resolve_method
from rbcore.distances.batching import images_a_second, in_batches
from rbcore.distances.best import BEST, best_table
from rbcore.distances.best import stored_methods as methods_of
from rbcore.distances.engine import Engine, Estimates
from rbcore.errors import DatasetError, MethodError
from rbcore.models import MODELS, Model
from rbcore.outputs import LOGITS
from rbcore.partitions import group_labels
from rbcore.runs.checkpoints import Run
from rbcore.runtime import Cancel, Progress, never, no_progress
from rbcore.store import Facts

BATCH_SIZE = 128
SPLIT = "test"
LIBRARIES = ("torch", "foolbox", "numpy", "pandas")


def _key_facts(
    weights_sha256: str,
    dataset_fingerprint: str,
    split: str,
    method: Method,
    parameters: Parameters,
) -> Facts:
    return {
        "weights": weights_sha256,
        "dataset": dataset_fingerprint,
        "split": split,
        "method": method.name,
        "version": method.version,
        "parameters": parameters,
    }


def stored_distances(
    run: Run, epoch: str | int, method: str, *, split: str = SPLIT, **parameters: Any
) -> store.StoredTable | None:
    """Return what the store holds of a run's epoch and a method, or None.

    No image and no weight is read.

    The table's ``rows`` have the columns that `estimate_distances` returns, and may cover a part of
    the split. Class and attributes are those of today's files, see `rbcore.datasets.attributes`.
    The method ``best`` joins what the store holds of all attacks, see
    `rbcore.distances.best.best_table`.
    """
    sidecar = run.sidecar(epoch)
    weights, fingerprint = sidecar["sha256"], sidecar["dataset_fingerprint"]
    if method == BEST:
        stored = best_table(weights, fingerprint, split)
    else:
        chosen, values = resolve_method(method, parameters)
        stored = store.read_table(_key_facts(weights, fingerprint, split, chosen, values))
    return None if stored is None else attributes.joined(stored, fingerprint, sidecar["classes"])


def stored_methods(run: Run, epoch: str | int) -> list[str]:
    """Return what is stored of a run's epoch and the test split: methods as they are spelled, with parameters other than defaults."""
    sidecar = run.sidecar(epoch)
    return sorted(methods_of(sidecar["sha256"], sidecar["dataset_fingerprint"], SPLIT))


def estimate_distances(
    model: Model,
    dataset: Dataset,
    method: str,
    *,
    split: str = SPLIT,
    limit: int | None = None,
    every: int = 1,
    at_least: int | None = None,
    by: str | None = None,
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
    split
        ``test``, ``train``, or ``validation`` where the dataset has one. An attack's last fallback
        walks to images of the same split.
    limit
        Only the first so many images, in a random order fixed by the dataset's seed.
    every
        Only every so many-th image, in the order of the files; 5 is the paper's
        choice for smoothing.
    at_least, by
        At least so many images of every group of a partition (or all of a smaller group), beside
        those of ``limit`` or ``every``; without these, only they. Rows then carry a
        ``sampling_weight``, by which every measure corrects; see `rbcore.sampling`.
    batch_size
        Images a pass through the network; found by measuring where not given, and recorded. Another
        size uses other kernels and moves a distance by about 1e-5 of itself.
    progress, cancel
        Called with the images done; a cancelled call keeps its finished batches.
    **parameters
        The method's own parameters.

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
    StoreError
        If the cache cannot be read or written.
    Cancelled
        If ``cancel`` said so.
    """
    if method == BEST:
        rows = _best(model, dataset, split).rows
        ids = _sample_ids(dataset, _wanted(dataset, split, limit, every, at_least, by))
        return _with_attributes(rows[rows["sample_id"].isin(ids)], dataset, split, by)
    chosen, values = resolve_method(method, parameters)
    if batch_size is not None and batch_size < 1:
        raise MethodError(
            f"batch_size={batch_size} leaves no image in a batch; give a number from 1."
        )
    key_facts = _key_facts(model.weights_sha256, dataset.fingerprint, split, chosen, values)
    order = dataset.rows(split)
    wanted = _wanted(dataset, split, limit, every, at_least, by)
    stored, finished = store.read_table(key_facts), store.read_parts(key_facts)
    tables = ([stored.rows] if stored else []) + [part.rows for part in finished]
    done = {sample for rows in tables for sample in rows["sample_id"]}
    missing = wanted[[sample not in done for sample in _sample_ids(dataset, wanted)]]
    what = f"{chosen.title} on {model.facts['model']}, epoch {model.facts['epoch']}"
    n_done = len(wanted) - len(missing)

    def report(n: int) -> None:
        nonlocal n_done
        n_done += n
        progress(n_done, len(wanted), what)

    report(0)
    drawn: Facts = {sampling.STRATA: by} if by is not None else {}
    attributes.keep_samples(dataset)
    engine = _engine(model, dataset, split, chosen, values, cancel, batch_size)
    for batch in in_batches(missing, engine.rows_a_batch) if len(missing) else ():
        started = time.perf_counter()
        rows = _as_rows(dataset, engine.estimate(batch, report), chosen)
        history = {
            **drawn,
            **_environment(model, engine.batch_size),
            "rows": len(batch),
            "seconds": time.perf_counter() - started,
            **engine.network.take_counts(),
        }
        store.write_part(key_facts, _sample_id(dataset, int(batch[0])), rows, history)
    is_new = len(missing) > 0 or len(finished) > 0
    table = (
        _joined(model, dataset, key_facts, order) if is_new else _in_order(dataset, tables, order)
    )
    chosen_rows = table[table["sample_id"].isin(_sample_ids(dataset, wanted))]
    return _with_attributes(chosen_rows, dataset, split, by)


def _with_attributes(
    rows: pd.DataFrame, dataset: Dataset, split: str, by: str | None
) -> pd.DataFrame:
    samples = dataset.samples
    joined = attributes.with_attributes(rows, samples)
    return sampling.weigh_by(joined, samples[samples["split"] == split], by or "")


def _best(model: Model, dataset: Dataset, split: str) -> store.StoredTable:
    found = best_table(model.weights_sha256, dataset.fingerprint, split)
    if found is None:
        raise MethodError(
            f"The store holds no attack on {model.facts['model']}, epoch {model.facts['epoch']}, "
            "so there is no best one. Estimate distances with minimal or deepfool first."
        )
    return found


@dataclass(frozen=True)
class Cost:
    """What an estimate will take, where its method knows that beforehand.

    Attributes
    ----------
    n_images
        Images that are not in the store yet.
    passes
        Passes an image: forward for certificates, forward and backward for attacks.
    seconds
        Expected, from a measured rate of such passes.
    """

    n_images: int
    passes: int
    seconds: float


def estimate_cost(
    model: Model,
    dataset: Dataset,
    method: str,
    *,
    split: str = SPLIT,
    limit: int | None = None,
    every: int = 1,
    at_least: int | None = None,
    by: str | None = None,
    **parameters: Any,
) -> Cost | None:
    """Say what `estimate_distances` would take with these arguments.

    None where the method cannot know.

    The rate is measured in about a second; misclassified images cost less than is said.
    """
    passes = passes_of(method, **parameters)
    if passes is None:
        return None
    chosen, values = resolve_method(method, parameters)
    wanted = _sample_ids(dataset, _wanted(dataset, split, limit, every, at_least, by))
    stored = store.read_table(
        _key_facts(model.weights_sha256, dataset.fingerprint, split, chosen, values)
    )
    missing = wanted if stored is None else wanted[~wanted.isin(stored.rows["sample_id"])]
    seconds = len(missing) * passes / pass_rate(model, dataset, method) if len(missing) else 0.0
    return Cost(len(missing), passes, seconds)


def passes_of(method: str, **parameters: Any) -> int | None:
    """Return the passes an image that a method takes, or None where that depends on the image."""
    if method == BEST:
        return None
    chosen, values = resolve_method(method, parameters)
    return None if chosen.passes is None else chosen.passes(values)


def pass_rate(model: Model, dataset: Dataset, method: str) -> float:
    """Return how many passes of one image a method does in a second, by measuring: attacks go back as well as forward."""
    image = torch.as_tensor(dataset.pixels(dataset.rows(SPLIT)[:1]), device=model.device)
    return images_a_second(
        model.network, image, backward=resolve_method(method)[0].bound == "upper"
    )


def _wanted(
    dataset: Dataset,
    split: str,
    limit: int | None,
    every: int,
    at_least: int | None = None,
    by: str | None = None,
) -> np.ndarray:
    """Return the rows of a split that a call asks for, in the split's own random order."""
    if limit is not None and limit < 1:
        raise MethodError(f"limit={limit} leaves no image; give a number from 1.")
    if every < 1:
        raise MethodError(f"every={every} is no step from image to image; give a number from 1.")
    order = dataset.rows(split)
    chosen = order if every == 1 else order[np.isin(order, np.sort(order)[::every])]
    wanted: np.ndarray = chosen[:limit]
    if at_least is None and by is None:
        return wanted
    if at_least is None or by is None or at_least < 1:
        raise MethodError(
            f"at_least={at_least} with by={by!r} draws nothing: give a number from 1 and a "
            "partition, as in at_least=60, by='class'."
        )
    labels = group_labels(dataset.samples.iloc[order], by).to_numpy()
    return sampling.draw(
        order[:0] if limit is None and every == 1 else wanted, order, labels, at_least
    )


def _joined(model: Model, dataset: Dataset, key_facts: Facts, order: np.ndarray) -> pd.DataFrame:
    """Join what the store holds now, whoever computed it meanwhile, into one table.

    Return its rows in the given order.
    """
    with store.locked(key_facts):
        stored, parts = store.read_table(key_facts), store.read_parts(key_facts)
        tables = ([stored.rows] if stored else []) + [part.rows for part in parts]
        table = _in_order(dataset, tables, order)
        if parts:  # another call may have joined them already
            names = {
                name: model.facts[name]
                for name in ("dataset", "size", "seed", "model", "run", "epoch")
            }
            names["attributes"] = attributes.attribute_hashes(dataset.samples)
            held = (
                set(stored.rows["sample_id"]) if stored else set()
            )  # a kill can leave parts of what it holds
            new = [part for part in parts if not held.issuperset(part.rows["sample_id"])]
            histories = (stored.provenance["computed"] if stored else []) + [
                part.provenance for part in new
            ]
            store.write_table(table, key_facts, {**names, "computed": _summed(histories)})
            store.remove_parts(key_facts, parts)
    return table


def _sample_id(dataset: Dataset, row: int) -> str:
    return str(dataset.samples["sample_id"].iat[row])


def _sample_ids(dataset: Dataset, rows: np.ndarray) -> pd.Series:
    return dataset.samples["sample_id"].iloc[rows]


def _engine(
    model: Model,
    dataset: Dataset,
    split: str,
    method: Method,
    parameters: Parameters,
    cancel: Cancel,
    batch_size: int | None,
) -> Engine:
    return Engine(
        model.network,
        dataset.pixels,
        dataset.samples["label"].to_numpy(np.int64),
        method,
        parameters,
        np.sort(dataset.rows(split)),
        seeds=_seeds(dataset),
        batch_size=batch_size,
        device=model.device,
        cancel=cancel,
        n_classes=len(dataset.classes),
        outputs=_known_outputs(model),
    )


def _known_outputs(model: Model) -> str | None:
    """Return ``logits`` for what ships and for what was decided on import.

    None for what has to be found out.
    """
    is_ours = MODELS[model.facts["model"]].source_sha256 is None
    return LOGITS if is_ours or "outputs" in model.facts else None


def _seeds(dataset: Dataset) -> np.ndarray:
    """Return one number a row that depends on the sample's id alone."""
    digests = (hashlib.sha256(sample.encode()).digest() for sample in dataset.samples["sample_id"])
    return np.array(
        [int.from_bytes(digest[:8], "little") >> 1 for digest in digests], dtype=np.int64
    )


def _as_rows(dataset: Dataset, found: Estimates, method: Method) -> pd.DataFrame:
    """Return what the store keeps: results alone, without class and attributes."""
    samples = dataset.samples.iloc[found.rows].reset_index(drop=True)
    labels = samples["label"].astype("int64")
    return pd.DataFrame(
        {
            "sample_id": samples["sample_id"],
            "label": labels,
            "prediction": found.prediction.astype("int64"),
            "is_correct": found.prediction == labels,
            "distance": found.distance,
            "bound": method.bound,
            "status": found.status.astype(str),
            "perturbed_prediction": found.perturbed_prediction.astype("int64"),
            **found.columns,
        }
    )


def _in_order(dataset: Dataset, tables: list[pd.DataFrame], order: np.ndarray) -> pd.DataFrame:
    joined = (
        pd.concat(tables, ignore_index=True).drop_duplicates("sample_id").set_index("sample_id")
    )
    wanted = dataset.samples["sample_id"].iloc[order]
    return joined.loc[wanted[wanted.isin(joined.index)]].reset_index()


def _environment(model: Model, batch_size: int) -> Facts:
    return {
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "dtype": "float32",
        "batch_size": batch_size,
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
    }


def _summed(histories: list[Facts]) -> list[Facts]:
    """Add up rows, seconds and passes of the batches that were computed in the same environment."""
    sums: dict[str, Facts] = {}
    for history in histories:
        counts = {name: history[name] for name in ("rows", "seconds", "n_forward", "n_backward")}
        environment = {name: value for name, value in history.items() if name not in counts}
        total = sums.setdefault(
            store.sha256_of_facts(environment), {**environment, **dict.fromkeys(counts, 0)}
        )
        for name, count in counts.items():
            total[name] += count
    return list(sums.values())


@dataclass(frozen=True)
class Perturbations:
    """Clean and perturbed images of some samples, and what the network says of both.

    Attributes
    ----------
    clean, perturbed
        Float32, shape (n, channels, height, width); NaN where a sample has no perturbed image.
    table
        One row a sample as `estimate_distances` returns them, with ``probability`` and
        ``perturbed_probability`` of the network's two predictions (softmax of the logits).
    """

    clean: np.ndarray
    perturbed: np.ndarray
    table: pd.DataFrame


def perturbed_images(
    model: Model,
    dataset: Dataset,
    method: str,
    sample_ids: list[str],
    *,
    split: str = SPLIT,
    cancel: Cancel = never,
    **parameters: Any,
) -> Perturbations:
    """Compute the perturbed images of some samples of a split anew, with the parameters of `estimate_distances`.

    Raises
    ------
    DatasetError
        If a sample does not exist.
    """
    if not sample_ids:
        raise DatasetError("No sample was named, so there is no image to perturb.")
    rows = dataset.rows_of(sample_ids)
    if method == BEST:
        return _best_images(model, dataset, sample_ids, split, cancel)
    chosen, values = resolve_method(method, parameters)
    engine = _engine(model, dataset, split, chosen, values, cancel, BATCH_SIZE)
    parts = [engine.estimate(batch) for batch in in_batches(rows, BATCH_SIZE)]
    rows_found = pd.concat([_as_rows(dataset, part, chosen) for part in parts], ignore_index=True)
    table = attributes.with_attributes(rows_found, dataset.samples)
    clean, perturbed = dataset.pixels(rows), np.concatenate([part.perturbed for part in parts])
    table["probability"] = _probabilities(
        model, clean, table.get("network_prediction", table["prediction"])
    )
    table["perturbed_probability"] = _probabilities(model, perturbed, table["perturbed_prediction"])
    return Perturbations(clean, perturbed, table)


def _best_images(
    model: Model, dataset: Dataset, sample_ids: list[str], split: str, cancel: Cancel
) -> Perturbations:
    """Compute each image anew with the method that gave its smallest distance."""
    best = _best(model, dataset, split)
    names = best.rows.set_index("sample_id")["method"].reindex(sample_ids)
    some = next(iter(best.key_facts["of"]))
    names = names.where(
        names.notna() & (names != ""), some
    )  # misclassified by the network: any method says so
    parts: list[Perturbations] = []
    for name in names.unique():
        facts, chosen = (
            best.key_facts["of"][name],
            [sample for sample in sample_ids if names[sample] == name],
        )
        part = perturbed_images(
            model,
            dataset,
            facts["method"],
            chosen,
            split=split,
            cancel=cancel,
            **facts["parameters"],
        )
        parts.append(replace(part, table=part.table.assign(method=name)))
    table = pd.concat([part.table for part in parts], ignore_index=True)
    order = pd.Index(table["sample_id"]).get_indexer(pd.Index(sample_ids))
    clean, perturbed = (
        np.concatenate([getattr(part, which) for part in parts]) for which in ("clean", "perturbed")
    )
    return Perturbations(clean[order], perturbed[order], table.iloc[order].reset_index(drop=True))


def _probabilities(model: Model, images: np.ndarray, classes: pd.Series) -> np.ndarray:
    with torch.no_grad():
        probabilities = (
            model.network(torch.as_tensor(images, device=model.device)).softmax(1).cpu().numpy()
        )
    chosen: np.ndarray = np.take_along_axis(
        probabilities, classes.to_numpy()[:, None].clip(0), axis=1
    )[:, 0]
    return chosen
