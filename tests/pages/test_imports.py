import gc
import hashlib
import tempfile
import threading
from pathlib import Path

import pytest
import safetensors.torch
import torch

import rbcore as rb
from pages.shell import imports, jobs
from rbcore.datasets import DatasetRequest
from rbcore.errors import RobustnessBiasError
from rbcore.models import build_network
from rbcore.runs.checkpoints import find_run
from rbcore.runs.importing import ImportRequest


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    """The folder in which uploads are written."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def weights(seed):
    torch.manual_seed(seed)
    digits = rb.load_dataset("digits")
    network = build_network("logistic_regression", digits.input_shape, 10, digits.mean, digits.std)
    return safetensors.torch.save(dict(network.get_submodule("network").state_dict()))


def bring(content, name=None, **settings):
    weights = ImportRequest("logistic_regression", Path(), run=name, **settings)
    data = DatasetRequest("digits", size=8)
    job, _ = imports.submit_import(data, weights, ("model.safetensors", content))
    return job


def until_they_end(*awaited):
    done = threading.Event()
    jobs.runner().submit("last", "last", lambda progress, cancel: str(done.set()))
    assert done.wait(30) and not any(job.is_active for job in awaited)


def test_uploads_of_one_name_are_told_apart_by_their_content_and_settings(uploads):
    go = threading.Event()
    jobs.runner().submit("wait", "wait", lambda progress, cancel: str(go.wait(30)))
    mine, theirs = bring(weights(1)), bring(weights(2))
    assert mine is not theirs and bring(weights(1)) is mine
    scaled = bring(weights(1), mean=(0.5,), std=(0.5,), name="scaled")
    assert (
        scaled is not mine
        and bring(weights(1), mean=(0.5,), std=(0.25,), name="scaled") is not scaled
    )
    go.set()
    until_they_end(mine, theirs, scaled)
    assert (mine.state, theirs.state, scaled.state) == (jobs.DONE, jobs.FAILED, jobs.DONE)
    assert "The run 'model' exists with another recipe" in theirs.message
    run = find_run("digits", "logistic_regression", "model")
    assert run.facts.recipe.file_sha256 == hashlib.sha256(weights(1)).hexdigest()


def test_a_failed_upload_starts_again_and_is_removed_when_it_is_done(uploads, cache):
    cache.write_text("not a folder yet")
    job = bring(weights(1))
    until_they_end(job)
    assert (
        job.state == jobs.FAILED
        and "Cannot write" in job.message
        and len(list(uploads.iterdir())) == 1
    )
    cache.unlink()
    again = jobs.runner().submit(job.key, job.title, job.function)
    until_they_end(again)
    assert again.state == jobs.DONE and again.message.startswith("run model is ready")
    assert not list(uploads.iterdir())


def test_an_upload_is_removed_with_its_forgotten_job_and_where_nothing_is_taken(
    uploads, monkeypatch
):
    until_they_end(bring(b"no weights"))
    assert len(list(uploads.iterdir())) == 1
    jobs.runner().jobs.clear()
    gc.collect()
    assert not list(uploads.iterdir())
    monkeypatch.setenv("RBCORE_READ_ONLY", "1")
    with pytest.raises(RobustnessBiasError, match="read-only"):
        bring(weights(1))
    gc.collect()
    assert not list(uploads.iterdir())


def test_an_upload_without_room_is_one_sentence_that_names_the_folder(uploads):
    uploads.rmdir()
    with pytest.raises(
        RobustnessBiasError,
        match="The upload cannot be written to .*uploads: No such file or directory",
    ):
        bring(weights(1))
