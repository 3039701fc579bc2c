import shutil
from collections import namedtuple

import pytest
import torch

from rbcore.errors import CheckpointError, StoreError, UnknownNameError
from rbcore.models import build_network
from rbcore.runs import checkpoints
from rbcore.runs.checkpoints import (
    damaged_runs,
    find_run,
    list_runs,
    load_checkpoint,
    run_folder,
    save_checkpoint,
)
from rbcore.training.recipes import PAPER
from tests.damage import damages
from tests.records import content_of, write_sealed

CPU = torch.device("cpu")


def write_run(
    name,
    *,
    n_epochs=5,
    epochs=None,
    created="2026-01-01T00:00:00+00:00",
    mitigation=None,
    dataset="digits",
):
    """A run of untrained linear networks, one a checkpoint."""
    folder = run_folder(dataset, "logistic_regression", name)
    for epoch in epochs or range(1, n_epochs + 1):
        torch.manual_seed(epoch)
        network = build_network("logistic_regression", (1, 8, 8), 10, (0.5,), (0.5,))
        facts = {
            "dataset": dataset,
            "dataset_fingerprint": "f",
            "size": 8,
            "seed": 0,
            "validation": 0.0,
            "input_shape": [1, 8, 8],
            "classes": [str(k) for k in range(10)],
            "mean": [0.5],
            "std": [0.5],
            "model": "logistic_regression",
            "run": name,
            "recipe": PAPER.as_facts(),
            "mitigation": mitigation,
            "n_epochs": n_epochs,
            "n_test": 1,
            "test_accuracy": 0.5,
            "created": created,
        }
        save_checkpoint(folder, epoch, network, facts)
    return find_run(dataset, "logistic_regression", name)


def test_a_checkpoint_comes_back_bit_for_bit():
    run = write_run("one")
    torch.manual_seed(3)
    written = build_network("logistic_regression", (1, 8, 8), 10, (0.5,), (0.5,))
    model = load_checkpoint(run, 3, CPU)
    for name, tensor in written.state_dict().items():
        assert torch.equal(tensor, model.network.state_dict()[name]), name
    assert not model.network.training and model.facts.epoch == 3
    assert len({run.sidecar(epoch).sha256 for epoch in run.epochs}) == 5


@pytest.mark.parametrize(("n_epochs", "middle"), [(1, 1), (2, 1), (5, 3), (50, 25)])
def test_epochs_have_names(n_epochs, middle):
    run = write_run("one", n_epochs=n_epochs, epochs={1, middle, n_epochs})
    assert [run.epoch(name) for name in ("first", "middle", "last")] == [1, middle, n_epochs]
    assert run.epoch(str(middle)) == middle


def test_an_epoch_without_checkpoint_is_named():
    run = write_run("one", n_epochs=9, epochs=(1, 5, 9))
    for epoch in (2, "10", "0", "final", "-1"):
        with pytest.raises(
            UnknownNameError,
            match=f"no epoch of run one .*{epoch}.*Known: first, middle, last, 1, 5, 9",
        ):
            run.epoch(epoch)


def test_the_default_run_is_the_newest_complete_plain_one():
    write_run("old", created="2030-01-01T00:00:00+00:00")
    write_run("new", created="2030-01-02T00:00:00+00:00")
    write_run("cut-short", created="2030-01-03T00:00:00+00:00", epochs=(1, 2))
    write_run(
        "regularized",
        created="2030-01-04T00:00:00+00:00",
        mitigation={"kind": "regularizer", "alpha": 1},
    )
    assert find_run("digits", "logistic_regression").name == "new"
    listed = [run.name for run in list_runs("digits", "logistic_regression")]
    assert listed[:4] == ["regularized", "cut-short", "new", "old"]
    assert find_run("digits", "logistic_regression", "cut-short").epochs == (1, 2)


def test_unknown_runs_are_named_with_what_there_is():
    write_run("one")
    with pytest.raises(
        UnknownNameError, match="no run of logistic_regression on digits 'on'. Did you mean 'one'"
    ):
        find_run("digits", "logistic_regression", "on")
    with pytest.raises(UnknownNameError, match="python -m rbcore train utkface small_cnn"):
        find_run("utkface", "small_cnn")


def test_altered_weights_are_refused():
    run = write_run("one")
    path = run.folder / "epoch-0002.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(
        CheckpointError, match=r"epoch-0002\.safetensors is not the file its sidecar describes"
    ):
        load_checkpoint(run, 2, CPU)


def test_weights_of_another_network_are_refused():
    run = write_run("one")
    sidecar = run.folder / "epoch-0001.json"
    facts = content_of(sidecar)
    write_sealed(sidecar, facts | {"input_shape": [1, 9, 9]})
    with pytest.raises(CheckpointError, match="does not fit logistic_regression"):
        load_checkpoint(run, 1, CPU)


@pytest.mark.parametrize(
    "change",
    [{"model": "small_cnn"}, {"run": "two"}, {"dataset": "toyfaces"}, {"epoch": 2}],
    ids=str,
)
def test_a_sidecar_that_was_moved_is_refused(change):
    run = write_run("one")
    sidecar = run.folder / "epoch-0001.json"
    write_sealed(sidecar, content_of(sidecar) | change)
    with pytest.raises(StoreError, match=r"epoch-0001\.json belongs to .*moved or renamed"):
        run.sidecar(1)


def test_no_damage_to_a_sidecar_is_read_as_other_facts():
    run = write_run("one")
    facts, sidecar = run.sidecar("last"), run.folder / "epoch-0005.json"
    assert run.epochs[-1] == 5
    for what in damages(sidecar, 100):
        try:
            assert run.sidecar("last") == facts, what
        except StoreError as error:
            assert str(sidecar) in str(error), what


@pytest.mark.parametrize(
    ("text", "complaint"), [("{", "Cannot read"), ("[]", "no facts"), ("{}", "no seal")]
)
def test_a_broken_sidecar_is_named_and_the_other_runs_stay(text, complaint):
    other, run = write_run("other"), write_run("one")
    (run.folder / "epoch-0005.json").write_text(text)
    listed = list_runs("digits")
    assert other in listed and run.name not in [found.name for found in listed]
    (sentence,) = damaged_runs("digits")
    assert (
        str(run.folder / "epoch-0005.json") in sentence
        and complaint in sentence
        and "Delete it" in sentence
    )
    with pytest.raises(StoreError, match=r"epoch-0005\.json"):
        find_run("digits", "logistic_regression", "one")


def test_what_is_no_checkpoint_in_the_folder_of_a_run_is_passed_over():
    run = write_run("one")
    for name in ("epoch-last.json", "epoch-9999.json", "notes.json"):
        (run.folder / name).write_text("{}")
    (run.folder / "epoch-last.safetensors").touch()
    assert run in list_runs("digits") and not damaged_runs("digits")


@pytest.mark.parametrize("name", ["../up", "/abs", "", "a/b", ".hidden", "x" * 97, "a b"])
def test_names_that_are_paths_are_refused(name):
    with pytest.raises(CheckpointError, match="is not a valid name of a run"):
        run_folder("digits", "small_cnn", name)


def test_a_short_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(StoreError, match=r"would take 5\.0 MB, but .* has 1\.0 MB free"):
        checkpoints.refuse_if_disk_is_short(tmp_path / "not" / "there", 5_000_000)
    checkpoints.refuse_if_disk_is_short(tmp_path, 500_000)
