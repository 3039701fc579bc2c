"""What the page of images asks of the network beyond its perturbed images, each kept: interpolation, rounding, how sure it is."""

import pandas as pd
import streamlit as st

from pages.shell import results
from pages.shell.selection import Selection
from rbcore.datasets import Dataset
from rbcore.distances import interpolation
from rbcore.models import Model


def _network(selection: Selection) -> tuple[Model, Dataset]:
    facts = selection.run.sidecar(selection.epoch)
    data = results.dataset_of(facts)
    return results.model(facts["sha256"], selection, data), data


@st.cache_resource(max_entries=64, show_spinner="Walking from the clean to the perturbed image")
def walk(key: str, sample_id: str, _selection: Selection) -> interpolation.Walk:
    """Return the walk from a sample's clean to its perturbed image, kept by the key of the distances."""
    found = results.perturbations(key, (sample_id,), _selection)
    return interpolation.walk(_network(_selection)[0], found.clean[0], found.perturbed[0])


@st.cache_data(max_entries=64, show_spinner="Asking the network about the rounded images")
def rounded(key: str, sample_ids: tuple[str, ...], _selection: Selection) -> list[int]:
    """Return the class of each sample's perturbed image rounded to 8 bits; -1 where there is none."""
    found = results.perturbations(key, sample_ids, _selection)
    return interpolation.rounded_predictions(_network(_selection)[0], found.perturbed).tolist()


@st.cache_data(max_entries=4, show_spinner="Asking the network about all test images")
def sureness(weights: str, _selection: Selection) -> pd.Series:
    """Return the probability of the predicted class of every test image, kept by the hash of the weights."""
    return interpolation.clean_probabilities(*_network(_selection))
