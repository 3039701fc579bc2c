import csv

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import rbcore as rb
from rbcore.datasets import DATASETS, known_folder
from rbcore.runs.checkpoints import find_run
from tests.pages.app import SHIPPED_RUN, button, open_page, said, wait_for_jobs

ODD = ["<script>", "a|b", "😀", "مرحبا"]


def write_images(folder, classes=ODD, n=6):
    random = np.random.default_rng(0)
    rows = []
    for name in classes:
        for index in range(n):
            path = folder / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
            rows.append([f"{name}/{index}.png", "AB"[index % 2]])
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "camera"], *rows])
    return folder


def check(app, folder):
    app.text_input(key="root of folder").set_value(str(folder))
    return wait_for_jobs(button(app, "Check").click().run())


def test_a_folder_is_checked_remembered_and_its_unusable_files_are_named_as_they_are(tmp_path):
    folder = write_images(tmp_path / "mine")
    (folder / "a|b" / "*x*.jpg").write_bytes(b"no image")
    app = check(open_page("own_data"), folder)
    (success,) = said(app.success)
    assert (
        "24 images can be used at 64 x 64 pixels" in success
        and "4 classes" in success
        and "camera" in success
    )
    assert all(name in success for name in ODD)
    assert "skipped files: 1 (" in success and "a|b/*x*.jpg" in success
    assert known_folder(DATASETS["folder"]) == folder
    button(app, "Train a model on it").click().run()
    assert app.selectbox(key="dataset").value == "folder"


@pytest.mark.parametrize(
    ("kind", "complaint"), [("missing", "does not exist"), ("empty", "usable images of 0 classes")]
)
def test_a_useless_folder_is_one_sentence_that_names_it(tmp_path, kind, complaint):
    folder = tmp_path / "faces"
    if kind == "empty":
        folder.mkdir()
    (error,) = said(check(open_page("own_data"), folder).error)
    assert complaint in error and str(folder) in error


@pytest.mark.parametrize("name", [name for name in DATASETS if DATASETS[name].needs_folder])
def test_every_dataset_shows_what_its_folder_holds(name):
    app = open_page("own_data", bring=name)
    assert (
        not app.exception
        and app.code[0].value.strip() == DATASETS[name].layout.strip()
        and DATASETS[name].layout
    )
    assert max(map(len, DATASETS[name].layout.splitlines())) <= 40  # readable beside the form


def checkpoint(folder, *, wrapped=True):
    """Write the shipped network's weights as a stranger would: wrapped, without
    our normalization.
    """
    run = find_run("digits", "logistic_regression")
    tensors = safetensors.torch.load_file(run.folder / "epoch-0012.safetensors")
    own = {
        key.removeprefix("network."): value
        for key, value in tensors.items()
        if key.startswith("network.")
    }
    path = folder / "weights.pth"
    torch.save({"state_dict": own} if wrapped else own, path)
    return path, run


def test_a_checkpoint_becomes_a_run_with_its_accuracy_and_leads_on(tmp_path):
    path, shipped = checkpoint(tmp_path)
    app = open_page("own_data", model="logistic_regression")
    uploader = app.get("file_uploader")[0]
    uploader.upload("../../<b>.pth", path.read_bytes(), "application/octet-stream").run()
    wait_for_jobs(button(app, "Import").click().run())
    (success,) = said(app.success)
    assert f"test accuracy {shipped.facts.test_accuracy:.1%} (n = 360)" in success
    run = next(
        run for run in rb.list_runs("digits", "logistic_regression") if run.name != SHIPPED_RUN
    )
    assert run.name == "b" and run.facts.recipe.name == "imported"
    button(app, "Look at its curves").click().run()
    assert app.selectbox(key="run").value == "b"


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("nothing", "There is no checkpoint yet"),
        ("missing", "does not exist"),
        ("garbage", "is not plain weights; nothing in it was run"),
        ("other", "does not fit small_cnn"),
        ("mean", "'a, b' is not a list of numbers"),
    ],
)
def test_what_cannot_be_brought_is_one_sentence(tmp_path, kind, complaint):
    path, _ = checkpoint(tmp_path)
    app = open_page("own_data", model="small_cnn" if kind == "other" else "logistic_regression")
    if kind == "garbage":
        path.write_bytes(b"garbage")
    if kind != "nothing":
        app.text_input(key="path of weights").set_value(
            str(tmp_path / "no.pth" if kind == "missing" else path)
        )
    if kind == "mean":
        next(field for field in app.text_input if field.label == "Mean").set_value("a, b")
    button(app, "Import").click().run()
    if kind not in ("nothing", "mean"):  # those start no job
        wait_for_jobs(app)
    (error,) = said(app.error)
    assert complaint in error and "unexpected error" not in error and not app.exception


def test_where_the_server_is_only_looked_at_nothing_is_offered(monkeypatch):
    monkeypatch.setenv("RBCORE_READ_ONLY", "1")
    app = open_page("own_data")
    assert not app.button and not app.text_input and "read-only" in said(app.info)[0]
