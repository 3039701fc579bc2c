import shutil
from pathlib import Path

import pytest

import rbcore as rb
from rbcore import api
from rbcore.distances import METHODS
from rbcore.errors import CheckpointError
from tests.faces import write_faces
from tests.pages.app import button, open_page, said, shipped, wait_for_jobs


def number(app, label):
    (found,) = [widget for widget in app.number_input if widget.label == label]
    return found


def train_on_faces(folder: Path):
    app = open_page("compute", dataset="utkface", model="logistic_regression")
    app.text_input[0].set_value(str(folder))
    number(app, "Size in pixels").set_value(8)
    number(app, "Epochs").set_value(1)
    return wait_for_jobs(button(app, "Train").click().run())


def test_missing_distances_offer_their_job_and_it_brings_the_curves():
    app = open_page(model="logistic_regression", epoch="1", method="deepfool:paper")
    assert "not computed yet" in said(app.info)[0] and "360 test images" in said(app.info)[0]
    wait_for_jobs(button(app, "Compute them now").click().run())
    assert len(app.get("vega_lite_chart")) == 2 and not app.info
    stored = shipped("logistic_regression", 1, "deepfool:paper")
    assert len(stored.rows) == 360 and stored.key_facts["parameters"]["steps"] == 100


def test_a_job_that_cannot_succeed_says_why_and_leaves_the_page_usable(monkeypatch):
    def altered(*arguments, **options):
        raise CheckpointError("epoch-0012.safetensors is not the file its sidecar describes.")

    monkeypatch.setattr(api, "load_model", altered)
    app = open_page(model="small_cnn", method="deepfool:paper")
    wait_for_jobs(button(app, "Compute them now").click().run())
    (error,) = said(app.error)
    assert "not the file its sidecar describes" in error and "Traceback" not in error
    assert button(app, "Compute them now")


def test_training_on_a_folder_of_faces_offers_the_run_and_lists_what_was_skipped(tmp_path):
    folder = write_faces(tmp_path / "faces")
    (folder / "39_1_20170116174525125.jpg").write_bytes(b"x")
    app = train_on_faces(folder)
    (success,) = said(app.success)
    (run,) = rb.list_runs("utkface")
    assert f"run {run.name} is ready" in success and "n = 12" in success and "skipped files: 1" in success
    assert app.selectbox(key="run").value == run.name and run.n_epochs == 1


def test_faces_that_are_gone_are_told_and_the_curves_stay(tmp_path):
    folder = write_faces(tmp_path / "faces", n=300)
    app = train_on_faces(folder)
    app.selectbox(key="method").select("exact").run()
    wait_for_jobs(button(app, "Estimate").click().run())
    shutil.rmtree(folder)
    app.switch_page("pages/curves.py").run()
    assert len(app.get("vega_lite_chart")) == 2
    app.switch_page("pages/images.py").run()
    (error,) = said(app.error)
    assert f"The UTKFace folder {folder} does not exist" in error and not app.exception


def test_estimating_a_part_shows_a_part():
    app = open_page("compute", model="logistic_regression", epoch="2", method="deepfool:paper")
    number(app, "Test images").set_value(50)
    wait_for_jobs(button(app, "Estimate").click().run())
    assert "distances of 50 images are ready" in said(app.success)[0]
    assert len(shipped("logistic_regression", 2, "deepfool:paper").rows) == 50


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [("missing", "does not exist"), ("empty", "holds no .jpg file"), ("unreadable", "none could be used")],
)
def test_a_useless_folder_of_faces_is_one_sentence_that_names_it(tmp_path, kind, complaint):
    folder = tmp_path / "faces"
    if kind != "missing":
        folder.mkdir()
    if kind == "unreadable":
        (folder / "30_0_0_20170116174525125.jpg").write_text("not an image")
    app = train_on_faces(folder)
    (error,) = said(app.error)
    assert complaint in error and str(folder) in error and "unexpected" not in error
    assert not app.exception


def test_a_cache_that_is_a_file_is_one_sentence_that_names_it_and_the_remedy(cache):
    cache.write_text("not a folder")
    app = open_page("compute", model="logistic_regression")
    number(app, "Epochs").set_value(1)
    wait_for_jobs(button(app, "Train").click().run())
    app.switch_page("pages/curves.py").run()
    app.selectbox(key="method").select("deepfool:paper").run()
    wait_for_jobs(button(app, "Compute them now").click().run())
    app.switch_page("pages/compute.py").run()
    estimate, train = said(app.error)
    for error in (train, estimate):
        assert "Cannot write" in error and str(cache) in error and "RBCORE_CACHE" in error
        assert "unexpected" not in error
    assert not app.exception


def test_a_methods_parameters_are_drawn_from_its_declaration_and_make_a_method_of_their_own():
    app = open_page("compute", model="small_cnn", method="minimal:fast")
    declared = [parameter.name for parameter in METHODS["minimal"].parameters]
    assert [widget.label for widget in app.number_input if widget.label in declared] == declared
    assert number(app, "candidates").value == 3  # the preset's
    number(app, "Test images").set_value(30).run()
    number(app, "candidates").set_value(2).run()
    wait_for_jobs(button(app, "Estimate").click().run())
    spelled = next(name for name in app.selectbox(key="method").options if "candidates=2" in name)
    assert len(shipped(method=spelled).rows) == 30
    app.selectbox(key="method").select(spelled)
    app.switch_page("pages/curves.py").run()
    assert not app.exception and "Of 30 images" in " ".join(said(app.caption))


def test_what_a_certificate_costs_is_said_before_it_starts():
    app = open_page("compute", model="logistic_regression", method="smoothing", epoch="1")
    number(app, "Every so many-th").set_value(5).run()
    (cost,) = [text for text in said(app.caption) if "passes" in text and "minutes" in text]
    assert cost.startswith("Up to 72 images x 1,100 passes: about ")


def test_the_best_of_all_is_shown_and_cannot_be_computed():
    app = open_page("compute", method="best")
    assert any("joined from those computed" in text for text in said(app.info))
    assert not any(widget.label == "Estimate" for widget in app.button)
    curves = open_page(method="best")
    assert not curves.exception and len(curves.get("vega_lite_chart")) == 2
    assert any("Best of all attacks" in text for text in said(curves.caption))
    images = open_page("images", method="best")
    assert not images.exception and len(images.get("image")) == 12
