"""What pages compute, each result kept by what it depends on.

``hash_funcs`` say what a cache reads of its arguments: the partition and the policy of a selection,
its network, or its network and method. Distances come from the store of rbcore. What only one page
needs is cached in that page, by the same functions.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell.selection import Selection
from rbcore import analyses, inference, store
from rbcore.datasets import Dataset, attributes
from rbcore.distances import METHODS, format_method, interpolation, resolve_method
from rbcore.distances.best import BEST, counts, is_current
from rbcore.distances.cost import pass_rate, passes_of
from rbcore.distances.perturbed import Perturbations
from rbcore.models import Model
from rbcore.runs.checkpoints import Run
from rbcore.sampling import SPLIT
from rbcore.store import StoredTable

MOST_KEPT = 2000
"""Tables of sigma that are kept."""


def checksum_of(table: StoredTable) -> str:
    """Return what identifies the rows of a stored table."""
    return table.checksum


def policy_of(selection: Selection) -> str:
    """Return what a measure over all partitions depends on."""
    return repr(selection.policy)


def definitions_of(selection: Selection) -> tuple[str, str]:
    """Return what a measure of given distances depends on: the partition and the policy."""
    return selection.by, repr(selection.policy)


def weights_of(selection: Selection) -> str:
    """Return what identifies the network: the hash of its weights."""
    return selection.run.sidecar(selection.epoch).sha256


def estimate_of(selection: Selection) -> tuple[str, str]:
    """Return what identifies an estimate on given images: the network and the method."""
    return weights_of(selection), selection.method


def key_of(table: StoredTable) -> str:
    """Return the key of a stored table; for the best of all attacks it names those joined."""
    return table.key.digest


MEASURED = {Selection: definitions_of, StoredTable: checksum_of}
"""``hash_funcs`` of what is measured of stored distances."""
PERTURBED = {Selection: estimate_of, StoredTable: key_of}
"""``hash_funcs`` of what is made of perturbed images."""


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=MEASURED)
def bias(selection: Selection, stored: StoredTable) -> pd.DataFrame:
    """Return `rbcore.robustness_bias` of stored distances."""
    return rb.robustness_bias(stored.rows, selection.by, policy=selection.policy)


@st.cache_data(max_entries=320, show_spinner=False, hash_funcs=MEASURED)
def curves(
    selection: Selection, stored: StoredTable, taus: tuple[float, ...], band: str = "pointwise"
) -> pd.DataFrame:
    """Return `rbcore.inference.curves` of stored distances."""
    return inference.curves(
        stored.rows, selection.by, taus=np.array(taus), policy=selection.policy, band=band
    )


Etags = dict[tuple[str, str, str], str]
"""By weights, dataset and method as it is spelled: what changes when a stored table does."""


def etags() -> Etags:
    """Return the etags of everything stored, without reading a table."""
    found: Etags = {}
    for path, key in store.files_with(split=SPLIT).items():
        if is_current(key):
            spelled = format_method(METHODS[key.method], key.parameters)
            found.setdefault(
                (key.weights, key.dataset, spelled),
                f"{path.stem} {path.stat().st_mtime_ns}",
            )
    return found


def cache_key(known: Etags, selection: Selection, within: str = "") -> str | None:
    """Return all that a selection's table of sigma depends on; None where no distances are stored.

    The best of all attacks changes with any of them. ``within`` is the partition whose mix is held
    fixed, or empty.
    """
    sidecar = selection.run.sidecar(selection.epoch)
    weights, data = sidecar.sha256, sidecar.dataset_fingerprint
    if selection.method == BEST:
        etag = " ".join(
            sorted(
                tag
                for (*of, name), tag in known.items()
                if of == [weights, data] and counts(resolve_method(name)[0])
            )
        )
    else:
        spelled = format_method(*resolve_method(selection.method))
        etag = known.get((weights, data, spelled), "")
    if not etag:
        return None
    return repr((etag, attributes.stamp_of(data), definitions_of(selection), within))


def computed_methods(known: Etags, runs: Iterable[Run]) -> list[str]:
    """Return the methods of which distances of any run's last epoch are stored."""
    sidecars = [run.sidecar("last") for run in runs]
    networks = {(sidecar.sha256, sidecar.dataset_fingerprint) for sidecar in sidecars}
    return sorted({name for weights, data, name in known if (weights, data) in networks})


@st.cache_resource
def _sigma_tables() -> OrderedDict[str, pd.DataFrame]:
    return OrderedDict()


def measure_some(wanted: Mapping[str, Selection], within: str = "", *, seconds: float = 1.0) -> int:
    """Measure sigma of selections, given by their `cache_key`, for about so many seconds.

    Return how many are left. The tables are kept and shared; nobody may change them.
    """
    kept, end, left = _sigma_tables(), time.monotonic() + seconds, 0
    for key, selection in wanted.items():
        if key in kept:
            continue
        if time.monotonic() > end:
            left += 1
            continue
        rows, policy = rows_of(selection), selection.policy
        adjusted = (
            analyses.adjusted_bias(rows, selection.by, within, policy=policy) if within else None
        )
        if adjusted is None:
            adjusted = rb.robustness_bias(rows, selection.by, policy=policy)
        keep(key, adjusted)
    return left


def keep(key: str, table: pd.DataFrame) -> None:
    """Keep a table of sigma, and forget the oldest where there are too many."""
    kept = _sigma_tables()
    kept[key] = table
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)


def measured(key: str | None) -> pd.DataFrame | None:
    """Return the table that `measure_some` measured, or None where no distances are stored."""
    return None if key is None else _sigma_tables().get(key)


def rows_of(selection: Selection) -> pd.DataFrame:
    """Return the rows of distances that were stored a moment ago."""
    stored = rb.stored_distances(selection.run, selection.epoch, selection.method)
    if stored is None:
        raise rb.RobustnessBiasError(
            f"The {selection.method} distances of {selection.model} are gone; open the page again."
        )
    return stored.rows


DATA_FACTS = ("dataset", "size", "seed", "validation", "dataset_fingerprint")


def data_of(selection: Selection) -> tuple[object, ...]:
    """Return what a run's images depend on, and the groups they belong to."""
    sidecar = selection.run.sidecar(selection.epoch)
    facts = [getattr(sidecar, name) for name in DATA_FACTS]
    return (*facts, attributes.stamp_of(sidecar.dataset_fingerprint))


@st.cache_resource(
    max_entries=2, show_spinner="Reading the images", hash_funcs={Selection: data_of}
)
def dataset(selection: Selection) -> Dataset:
    """Return the dataset a run was trained on; other files are an error, which is not kept."""
    name, size, seed, validation, fingerprint, _ = data_of(selection)
    loaded = rb.load_dataset(name, size=size, seed=seed, validation=validation)
    if loaded.fingerprint != fingerprint:
        raise rb.RobustnessBiasError(
            f"The files of {name} are not those this run was trained on; name their folder again."
        )
    return loaded


@st.cache_resource(
    max_entries=4, show_spinner="Loading the model", hash_funcs={Selection: weights_of}
)
def model(selection: Selection) -> Model:
    """Return the selection's network."""
    data = dataset(selection)
    return rb.load_model(selection.model, data, epoch=selection.epoch, run=selection.run.name)


def format_cost(selection: Selection, n_images: int) -> str | None:
    """Say how long an estimate takes, where its method knows its passes beforehand."""
    passes = passes_of(selection.method)
    if passes is None:
        return None
    minutes = n_images * passes / _passes_a_second(selection) / 60
    return (
        f"Up to {n_images:,} images x {passes:,} passes: about {minutes:,.1f} minutes on this "
        "machine's default device."
    )


@st.cache_data(
    max_entries=16,
    show_spinner="Measuring the speed of the network",
    hash_funcs={Selection: estimate_of},
)
def _passes_a_second(selection: Selection) -> float:
    return pass_rate(model(selection), dataset(selection), selection.method)


@st.cache_resource(
    max_entries=64,
    show_spinner="Computing the perturbed images",
    hash_funcs=PERTURBED,
)
def perturbations(
    selection: Selection, stored: StoredTable, sample_ids: tuple[str, ...]
) -> Perturbations:
    """Return clean and perturbed images of some samples."""
    return rb.perturbed_images(
        model(selection), dataset(selection), selection.method, list(sample_ids)
    )


@st.cache_resource(
    max_entries=64,
    show_spinner="Interpolating between the clean and the perturbed image",
    hash_funcs=PERTURBED,
)
def walk(selection: Selection, stored: StoredTable, sample_id: str) -> interpolation.Walk:
    """Return the images between a sample's clean and its perturbed one."""
    found = perturbations(selection, stored, (sample_id,))
    return interpolation.walk(model(selection), found.clean[0], found.perturbed[0])


@st.cache_data(
    max_entries=64,
    show_spinner="Predicting the rounded images",
    hash_funcs=PERTURBED,
)
def rounded_predictions(
    selection: Selection, stored: StoredTable, sample_ids: tuple[str, ...]
) -> list[int]:
    """Return the class of each perturbed image rounded to 8 bits; -1 where there is none."""
    found = perturbations(selection, stored, sample_ids)
    return interpolation.rounded_predictions(model(selection), found.perturbed).tolist()


@st.cache_data(
    max_entries=4,
    show_spinner="Predicting all test images",
    hash_funcs={Selection: weights_of},
)
def confidence(selection: Selection) -> pd.Series:
    """Return the probability of the predicted class of every test image."""
    return interpolation.clean_probabilities(model(selection), dataset(selection))
