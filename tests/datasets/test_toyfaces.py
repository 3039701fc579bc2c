"""The toy faces: the same bytes everywhere, and a truth that holds."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rbcore as rb
from rbcore.datasets.toyfaces import (
    CHUNK,
    PIXELS_SHA256,
    STRENGTHS,
    DrawnFaces,
    _draw_chunk,
    draw_dataset,
)
from rbcore.errors import DatasetError
from rbcore.training.train import train

FINGERPRINTS = {
    "toyfaces": "30503df31cab0e8d39bbf7a52241c8497a26ab4db926acafe7aed4ed199d6b04",
    "toyfaces0": "1b856a0fa522f40c3c33d4ff020e5557a74f1c7087d2fb8cd6deaa26ff3f6c0e",
    "toyfaces30": "f262cb897c15c39b8063be52ba89df044a5a315f19a04978c9e3d4e2a914d6b3",
    "toyfaces90": "215e4be6a8f2f152f7a0b9511fae3ed1f4f4dfd29d5a613ca441ab7814e17cad",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STRENGTHS)
def test_the_drawing_is_the_same_everywhere(name):
    """What ships was computed on these very bytes; a change of the drawing must come
    with a new bundle.
    """
    faces = rb.load_dataset(name)
    assert faces.fingerprint == FINGERPRINTS[name]
    percent = round(100 * STRENGTHS[name])
    assert hashlib.sha256(faces.images[:].data).hexdigest() == PIXELS_SHA256[percent]
    assert len(faces.rows("train")) == 6400 and len(faces.rows("test")) == 1600


def test_only_the_chunks_that_are_asked_for_are_drawn(plain, monkeypatch):
    faces, drawn = DrawnFaces(4000, 0), []
    monkeypatch.setattr(
        "rbcore.datasets.toyfaces._draw_chunk",
        lambda chunk, percent, draw=_draw_chunk: drawn.append(chunk) or draw(chunk, percent),
    )
    rows = np.array([5 * CHUNK + 3, 2 * CHUNK, 5 * CHUNK])
    for _ in range(2):
        np.testing.assert_array_equal(faces[rows], plain.images[:][rows])
    assert drawn == [2, 5]


def test_other_pixels_than_those_that_ship_are_refused(monkeypatch):
    faces = DrawnFaces(CHUNK, 0)
    faces.known_sha256 = PIXELS_SHA256[0]
    with pytest.raises(DatasetError, match=r"not fefed32faea0.*requirements\.txt"):
        faces[:]


def test_what_ships_fits_what_is_drawn():
    for run in rb.list_runs("toyfaces"):
        assert run.facts.dataset_fingerprint == FINGERPRINTS["toyfaces"]


@pytest.fixture(scope="module")
def plain():
    return draw_dataset(strength=0, n=4000)


@pytest.fixture(scope="module")
def strong():
    return draw_dataset(strength=0.9, n=4000)


@pytest.mark.slow
def test_the_strength_changes_dim_faces_only(plain, strong):
    is_dim = (plain.samples["lighting"] == "dim").to_numpy()
    is_same = (plain.images[:] == strong.images[:]).all(axis=(1, 2, 3))
    assert is_same[~is_dim].all() and not is_same[is_dim].any()
    drawn = ["sample_id", "label", "lighting", "camera", "site", "age"]
    pd.testing.assert_frame_equal(plain.samples[drawn], strong.samples[drawn])


def test_without_strength_dim_and_bright_faces_are_drawn_alike(plain):
    brightness = plain.images[:].mean(axis=(1, 2, 3))
    is_dim = plain.samples["lighting"] == "dim"
    assert stats.ks_2samp(brightness[is_dim], brightness[~is_dim]).pvalue > 1e-3


@pytest.mark.slow
def test_dim_light_weakens_the_cues_of_age(plain, strong):
    """The same faces, drawn bright and dim: old and young differ by less where it is dim."""
    hair = np.s_[:, :, 14:18, 26:38]  # grows gray with age
    is_dim = (plain.samples["lighting"] == "dim").to_numpy()
    old, young = (plain.samples["label"] == 4).to_numpy(), (plain.samples["label"] == 2).to_numpy()

    def difference(faces):
        means = faces.images[hair].mean(axis=(1, 2, 3))
        return means[is_dim & old].mean() - means[is_dim & young].mean()

    assert 0.1 * difference(plain) < difference(strong) < 0.6 * difference(plain)


def test_camera_is_chance_and_site_follows_the_age_group_alone(plain):
    samples = plain.samples
    for other in ("class", "lighting", "site"):
        assert stats.chi2_contingency(pd.crosstab(samples["camera"], samples[other])).pvalue > 1e-3
    assert stats.chi2_contingency(pd.crosstab(samples["site"], samples["class"])).pvalue < 1e-50
    for _, own in samples.groupby("class"):
        assert stats.chi2_contingency(pd.crosstab(own["site"], own["lighting"])).pvalue > 1e-3


def test_ages_lie_in_their_group(plain):
    starts = np.array([0, 15, 25, 40, 60, 90])
    age, label = plain.samples["age"].to_numpy(), plain.samples["label"].to_numpy()
    assert ((starts[label] <= age) & (age < starts[label + 1])).all()


def test_fewer_faces_are_the_first_of_more(plain):
    few = draw_dataset(strength=0, n=150)
    np.testing.assert_array_equal(few.images, plain.images[:150])
    assert list(few.samples["age"]) == list(plain.samples["age"][:150])


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_an_impossible_strength_is_refused(strength):
    with pytest.raises(DatasetError, match="outside"):
        draw_dataset(strength=strength)


def test_other_sizes_are_refused():
    with pytest.raises(DatasetError, match="64x64 pixels; size 32"):
        rb.load_dataset("toyfaces", size=32)


@pytest.mark.slow
def test_an_attack_finds_the_planted_bias_and_no_other(plain, strong):
    """In small what benchmarks/toyfaces_strengths.py shows: distances by attack on a trained model,
    here a linear one.
    """
    sigmas = {}
    for name, faces in (("plain", plain), ("strong", strong)):
        run = train("logistic_regression", faces, epochs=4, run=name, keep="1")
        assert run.facts.test_accuracy > 0.4
        table = rb.estimate_distances(
            rb.load_model("logistic_regression", faces, run=name), faces, "deepfool", limit=600
        )
        for by, group in (("lighting", "dim"), ("camera", "A")):
            sigmas[name, by] = rb.robustness_bias(table, by).set_index("group").loc[group]
    assert sigmas["strong", "lighting"]["high"] < 0
    for null in (("plain", "lighting"), ("plain", "camera"), ("strong", "camera")):
        assert sigmas[null]["low"] <= 0 <= sigmas[null]["high"], null
