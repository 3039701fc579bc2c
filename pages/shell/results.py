"""What the pages show, read once and kept: distances, measures, models, images.

Missing distances come with their job.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import missing_data
from pages.shell.selection import Selection
from pages.shell.text import plain
from rbcore import analyses, inference, store, wording
from rbcore.datasets import Dataset, attributes
from rbcore.distances import METHODS, format_method, resolve_method
from rbcore.distances.best import BEST, counts, is_current
from rbcore.distances.cost import pass_rate, passes_of
from rbcore.distances.perturbed import Perturbations
from rbcore.models import Model
from rbcore.runs.checkpoints import Run
from rbcore.sampling import SPLIT
from rbcore.store import Facts, StoredTable

MOST_KEPT = 2000


def distances(selection: Selection) -> StoredTable:
    """Return the stored distances of the selection, or offer the job that computes them and end the page."""
    if selection.run is None:
        missing_data.say_untrained(selection.model, selection)
        st.stop()
    stored = rb.stored_distances(selection.run, selection.epoch, selection.method)
    if stored is None:
        n_test = selection.run.facts["n_test"]
        sentence = (
            f"These distances are not computed yet: {selection.title}, {n_test:,} test images."
        )
        missing_data.offer_estimates([selection], sentence, "Compute them now")
        st.stop()
    if stored.notice:
        st.info(plain(stored.notice))
    return stored


def warn_of_fallbacks(rows: pd.DataFrame, method: str) -> None:
    """Draw a warning where so many distances are fallbacks that numbers made of them say little of the network."""
    correct, fallback = int(rows["is_correct"].sum()), int((rows["status"] == "fallback").sum())
    caution = wording.fallback_warning(fallback, correct)
    if caution:
        st.warning(plain(f"{method}: {caution}"))


@st.cache_data(max_entries=256, show_spinner=False)
def bias(
    checksum: str, by: str, policy_text: str, _rows: pd.DataFrame, _policy: rb.Policy
) -> pd.DataFrame:
    """Return `rbcore.robustness_bias`, kept by the checksum of the rows and the policy's text."""
    return rb.robustness_bias(_rows, by, policy=_policy)


@st.cache_data(max_entries=64, show_spinner=False)
def curves(
    checksum: str,
    by: str,
    policy_text: str,
    taus: tuple[float, ...],
    band: str,
    _rows: pd.DataFrame,
    _policy: rb.Policy,
) -> pd.DataFrame:
    """Return `rbcore.inference.curves`, kept by the checksum of the rows, the policy's text, and tau."""
    return inference.curves(_rows, by, taus=np.array(taus), policy=_policy, band=band)


Stamps = dict[tuple[str, str, str], str]
"""By weights, dataset and method as it is spelled: what changes when a stored table does."""


def stamps() -> Stamps:
    """Return the stamps of everything stored, without reading a table."""
    found: Stamps = {}
    for path, key in store.files_with(split=SPLIT).items():
        if is_current(key):
            spelled = format_method(METHODS[key.method], key.parameters)
            found.setdefault(
                (key.weights, key.dataset, spelled),
                f"{path.stem} {path.stat().st_mtime_ns}",
            )
    return found


@dataclass(frozen=True)
class Place:
    """Where one table of sigma comes from: ``stamp`` of its distances, None where none are stored, and ``groups`` of its attributes."""

    run: Run
    epoch: int
    method: str
    by: str
    stamp: str | None
    groups: str

    def key(self, within: str, policy: rb.Policy) -> str:
        """Return what the table's numbers depend on, as text."""
        return repr((self.stamp, self.groups, self.by, within, policy))


def place(found: Stamps, run: Run, epoch: int, method: str, by: str) -> Place:
    """Return the place of a run's epoch, a method and a partition.

    The best of all attacks changes with any of them.
    """
    sidecar = run.sidecar(epoch)
    where = (sidecar["sha256"], sidecar["dataset_fingerprint"])
    groups = attributes.stamp_of(sidecar["dataset_fingerprint"])
    if method != BEST:
        chosen, values = resolve_method(method)
        return Place(
            run, epoch, method, by, found.get((*where, format_method(chosen, values))), groups
        )
    of = sorted(
        at
        for (*of, name), at in found.items()
        if tuple(of) == where and counts(resolve_method(name)[0])
    )
    return Place(run, epoch, method, by, " ".join(of) or None, groups)


def computed_methods(found: Stamps, runs: Iterable[Run]) -> list[str]:
    """Return the methods of which distances of any run's last epoch are stored."""
    sidecars = [run.sidecar("last") for run in runs]
    where = {(sidecar["sha256"], sidecar["dataset_fingerprint"]) for sidecar in sidecars}
    return sorted({name for weights, data, name in found if (weights, data) in where})


@st.cache_resource
def _measures() -> OrderedDict[str, pd.DataFrame]:
    return OrderedDict()


def measure_some(
    places: Sequence[Place], within: str, policy: rb.Policy, *, seconds: float = 1.0
) -> int:
    """Measure sigma at these places for about so many seconds; return how many are left.

    Tables are kept by what their numbers depend on; nobody may change them. ``within`` is the
    partition whose mix is held fixed, or empty.
    """
    kept, end, left = _measures(), time.monotonic() + seconds, 0
    for item in places:
        if item.stamp is None or item.key(within, policy) in kept:
            continue
        if time.monotonic() > end:
            left += 1
            continue
        rows = rows_at(item)
        adjusted = analyses.adjusted_bias(rows, item.by, within, policy=policy) if within else None
        keep(
            item,
            within,
            policy,
            rb.robustness_bias(rows, item.by, policy=policy) if adjusted is None else adjusted,
        )
    return left


def keep(item: Place, within: str, policy: rb.Policy, table: pd.DataFrame) -> None:
    """Keep a table of sigma for its place, and forget the oldest where there are too many."""
    kept = _measures()
    kept[item.key(within, policy)] = table
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)


def rows_at(item: Place) -> pd.DataFrame:
    """Return the distances at a place that has some."""
    stored = rb.stored_distances(item.run, item.epoch, item.method)
    if stored is None:
        raise rb.RobustnessBiasError(
            f"The {item.method} distances of {item.run.model} are gone; open the page again."
        )
    return stored.rows


def measured(item: Place, within: str, policy: rb.Policy) -> pd.DataFrame | None:
    """Return the table that `measure_some` has measured at a place, or None where no distances are stored."""
    return _measures().get(item.key(within, policy))


@st.cache_data(max_entries=8, show_spinner=False)
def joined(key: str, _make: Callable[[], Any]) -> Any:
    """Return what a function makes, kept by a text of all it depends on: many tables joined to one, for instance."""
    return _make()


@st.cache_resource(max_entries=2, show_spinner="Reading the images")
def dataset(
    name: str, size: int, seed: int, validation: float, fingerprint: str, groups: str
) -> Dataset:
    """Return the dataset a run was trained on, kept by the stamp of its groups.

    Other files are an error, which is not kept.
    """
    loaded = rb.load_dataset(name, size=size, seed=seed, validation=validation)
    if loaded.fingerprint != fingerprint:
        raise rb.RobustnessBiasError(
            f"The files of {name} at hand are not those this run was trained on; name "
            "their folder again."
        )
    return loaded


def dataset_of(facts: Facts) -> Dataset:
    """Return the dataset that a run's facts name."""
    names = ("dataset", "size", "seed", "validation", "dataset_fingerprint")
    return dataset(
        *(facts[name] for name in names), attributes.stamp_of(facts["dataset_fingerprint"])
    )


@st.cache_resource(max_entries=4, show_spinner="Loading the model")
def model(weights: str, _selection: Selection, _data: Dataset) -> Model:
    """Return the selection's network, kept by the hash of its weights."""
    return rb.load_model(_selection.model, _data, epoch=_selection.epoch, run=_selection.run.name)


def cost(selection: Selection, n_images: int) -> str | None:
    """Say what an estimate will take where its method knows it beforehand: passes, and minutes at a measured rate."""
    passes = passes_of(selection.method)
    if passes is None:
        return None
    sidecar = selection.run.sidecar(selection.epoch)
    minutes = (
        n_images * passes / _passes_a_second(sidecar["sha256"], selection.method, selection) / 60
    )
    return (
        f"Up to {n_images:,} images x {passes:,} passes: about {minutes:,.1f} minutes on this "
        "machine's default device."
    )


@st.cache_data(max_entries=16, show_spinner="Measuring the speed of the network")
def _passes_a_second(weights: str, method: str, _selection: Selection) -> float:
    facts = _selection.run.sidecar(_selection.epoch)
    data = dataset_of(facts)
    return pass_rate(model(weights, _selection, data), data, method)


@st.cache_resource(max_entries=64, show_spinner="Computing the perturbed images")
def perturbations(key: str, sample_ids: tuple[str, ...], _selection: Selection) -> Perturbations:
    """Return clean and perturbed images of some samples, kept by the key of the distances."""
    facts = _selection.run.sidecar(_selection.epoch)
    data = dataset_of(facts)
    network = model(facts["sha256"], _selection, data)
    return rb.perturbed_images(network, data, _selection.method, list(sample_ids))
