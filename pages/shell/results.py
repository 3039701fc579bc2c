"""What the pages show, read once and kept: distances, measures, models, images. Missing distances come with their job."""

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import jobs, menu, mode, tasks
from pages.shell.selection import Selection
from pages.shell.text import plain
from rbcore.api import Perturbations, pass_rate, passes_of
from rbcore.best import BEST
from rbcore.datasets import Dataset
from rbcore.models import Model
from rbcore.store import Facts, StoredTable


def distances(selection: Selection) -> StoredTable:
    """Return the stored distances of the selection, or offer the job that computes them and end the page."""
    if selection.run is None:
        say_untrained(selection.model, selection)
        st.stop()
    stored = rb.stored_distances(selection.run, selection.epoch, selection.method)
    if stored is None:
        _offer(selection)
        st.stop()
    return stored


def say_untrained(what: str, selection: Selection) -> None:
    """Say that there is no run yet, and lead to where one is trained."""
    st.info(plain(f"No {what} is trained on {selection.spec.title} yet."))
    if mode.is_read_only():
        st.caption(f"{mode.SENTENCE} Pick another dataset, model or run in the sidebar.")
        return
    st.page_link(menu.page("Compute"), label="Train one on the Compute page", icon=":material/arrow_forward:")


def _offer(selection: Selection) -> None:
    if mode.is_read_only():
        st.info(plain(f"No distances are computed for {selection.title}."))
        st.caption(f"{mode.SENTENCE} Pick another method, model or epoch in the sidebar.")
        return
    if selection.method == BEST:
        st.info(
            "No attack is computed on this model and epoch yet, so there is no best one. Pick minimal, and compute it."
        )
        return
    key = tasks.estimate_key(selection)
    job = jobs.runner().jobs.get(key)
    if job is not None and job.is_active:
        jobs.watch((key,))
        return
    if job is not None and job.state != jobs.DONE:
        jobs.show_job(job)
    n_test = selection.run.facts["n_test"]
    st.info(plain(f"These distances are not computed yet: {selection.title}, {n_test:,} test images."))
    if st.button("Compute them now", type="primary"):
        tasks.submit_estimate(selection)
        st.rerun()


@st.cache_data(max_entries=256, show_spinner=False)
def bias(checksum: str, by: str, policy_text: str, _rows: pd.DataFrame, _policy: rb.Policy) -> pd.DataFrame:
    """Return `rbcore.robustness_bias`, kept by the checksum of the rows and the policy's text."""
    return rb.robustness_bias(_rows, by, policy=_policy)


@st.cache_resource(max_entries=2, show_spinner="Reading the images")
def dataset(name: str, size: int, seed: int, validation: float, fingerprint: str) -> Dataset:
    """Return the dataset a run was trained on; other files in its folder are an error, which is not kept."""
    loaded = rb.load_dataset(name, size=size, seed=seed, validation=validation)
    if loaded.fingerprint != fingerprint:
        raise rb.RobustnessBiasError(
            f"The files of {name} at hand are not those this run was trained on; name their folder again."
        )
    return loaded


def _dataset_of(facts: Facts) -> Dataset:
    names = ("dataset", "size", "seed", "validation", "dataset_fingerprint")
    return dataset(*(facts[name] for name in names))


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
    minutes = n_images * passes / _passes_a_second(sidecar["sha256"], selection.method, selection) / 60
    return (
        f"Up to {n_images:,} images x {passes:,} passes: about {minutes:,.1f} minutes on this machine's default device."
    )


@st.cache_data(max_entries=16, show_spinner="Measuring the speed of the network")
def _passes_a_second(weights: str, method: str, _selection: Selection) -> float:
    facts = _selection.run.sidecar(_selection.epoch)
    data = _dataset_of(facts)
    return pass_rate(model(weights, _selection, data), data, method)


@st.cache_resource(max_entries=64, show_spinner="Computing the perturbed images")
def perturbations(key: str, sample_ids: tuple[str, ...], _selection: Selection) -> Perturbations:
    """Return clean and perturbed images of some samples, kept by the key of the distances."""
    facts = _selection.run.sidecar(_selection.epoch)
    data = _dataset_of(facts)
    network = model(facts["sha256"], _selection, data)
    return rb.perturbed_images(network, data, _selection.method, list(sample_ids))
