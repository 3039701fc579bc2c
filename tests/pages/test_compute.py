import shutil
import threading
import time
from pathlib import Path

import pytest

import rbcore as rb
from benchmarks.layouts import write_faces
from pages.shell import jobs
from rbcore import store
from rbcore.distances import METHODS
from rbcore.errors import CheckpointError
from rbcore.store import storage
from tests.pages.app import APP, SHIPPED_RUN, button, open_page, said, shipped, wait_for_jobs


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
    assert len(stored.rows) == 360 and stored.key.parameters["steps"] == 100


@pytest.mark.slow
def test_a_job_that_cannot_succeed_says_why_and_leaves_the_page_usable(monkeypatch):
    def altered(*arguments, **options):
        raise CheckpointError("epoch-0012.safetensors is not the file its sidecar describes.")

    with monkeypatch.context() as patched:
        patched.setattr("pages.shell.tasks.load_model", altered)
        app = open_page(model="small_cnn", method="deepfool:paper")
        wait_for_jobs(button(app, "Compute them now").click().run())
    (error,) = said(app.error)
    assert "not the file its sidecar describes" in error and "Traceback" not in error
    assert button(app, "Compute them now") and button(app, "Start again")
    wait_for_jobs(button(app, "Start again").click().run())
    assert len(app.get("vega_lite_chart")) == 2 and not app.error


def test_training_on_a_folder_of_faces_offers_the_run_and_lists_what_was_skipped(tmp_path):
    folder = write_faces(tmp_path / "faces")
    (folder / "39_1_20170116174525125.jpg").write_bytes(b"x")
    app = train_on_faces(folder)
    (success,) = said(app.success)
    (run,) = rb.list_runs("utkface")
    assert (
        f"run {run.name} is ready" in success
        and "n = 12" in success
        and "skipped files: 1" in success
    )
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
    [
        ("missing", "does not exist"),
        ("empty", "holds no .jpg file"),
        ("unreadable", "none could be used"),
    ],
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
    number(app, "Every n-th image").set_value(5).run()
    (cost,) = [text for text in said(app.caption) if "passes" in text and "minutes" in text]
    assert cost.startswith("Up to 72 images x 1,100 passes: about ")


def test_the_best_of_all_is_shown_and_cannot_be_computed():
    app = open_page("compute", method="best")
    assert any("joined from the attacks that are computed" in text for text in said(app.info))
    assert not any(widget.label == "Estimate" for widget in app.button)
    curves = open_page(method="best")
    assert not curves.exception and len(curves.get("vega_lite_chart")) == 2
    assert any("Best of all attacks" in text for text in said(curves.caption))
    images = open_page("images", method="best")
    assert not images.exception and len(images.get("image")) == 12


def pick(app, label, value):
    (found,) = [widget for widget in app.selectbox if widget.label == label]
    return found.set_value(value).run()


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        (
            "fairness regularizer",
            {"alpha": 2.0, "tau": 0.25},
            rb.Regularizer("class", "8", alpha=2.0, tau=0.25),
        ),
        (
            "adversarial training",
            {"epsilon": 0.25, "steps": 2},
            rb.AdversarialTraining(0.25, 2),
        ),
        ("group re-weighting", {"share": 0.7}, rb.Reweighting("class", "8", 0.7)),
    ],
)
def test_a_mitigation_is_picked_and_trained_with(kind, settings, expected):
    app = open_page("compute", model="logistic_regression")
    number(app, "Epochs").set_value(1)
    pick(app, "Mitigation", kind)
    if "adversarial" not in kind:
        pick(app, "Protected group", "8")
    for name, value in settings.items():
        app.number_input(key=f"{expected.kind} {name}").set_value(value)
    wait_for_jobs(button(app, "Train").click().run())
    assert not app.exception and any("is ready" in text for text in said(app.success))
    run = rb.list_runs("digits", "logistic_regression")[0]
    assert run.mitigation == expected.as_facts() and run.name.endswith(expected.suffix)
    assert expected.suffix[1:] in said(app.success)[0]


def test_a_group_that_does_not_exist_is_named_with_those_there_are():
    app = open_page("compute", dataset="toyfaces", model="logistic_regression")
    number(app, "Epochs").set_value(1)
    pick(app, "Mitigation", "group re-weighting")
    (groups,) = [widget for widget in app.selectbox if widget.label == "Protected group"]
    assert groups.options == ["bright", "dim"]


def test_a_run_and_a_table_of_distances_are_deleted_after_a_second_click(cache):
    app = open_page("compute", model="logistic_regression")
    assert any("0 B in" in text for text in said(app.markdown))
    number(app, "Epochs").set_value(1)
    wait_for_jobs(button(app, "Train").click().run())
    app.run()  # the training may have ended while the page was being drawn, after its pickers
    app.selectbox(key="run").select(rb.list_runs("digits", "logistic_regression")[0].name).run()
    number(app, "Test images").set_value(20).run()
    wait_for_jobs(button(app, "Estimate").click().run())
    (run,), (table,) = storage.deletable_runs(), storage.deletable_tables()
    for what, item in (("table", table), ("run", run)):
        assert item.path.exists()
        pick(app, f"Delete a {what}", item)
        app.button(key=f"delete {what}").click().run()
        assert not item.path.exists() and not app.exception
        assert any(text.startswith(f"Deleted: {item.name}") for text in said(app.success))
    assert any("is gone" in text for text in said(app.warning))
    assert (
        len(storage.deletable_runs()) == 0
        and len(rb.list_runs("digits", "logistic_regression")) == 1
    )


def test_nothing_is_deleted_while_a_job_is_at_work(cache):
    go = threading.Event()
    run = write_run(cache)
    app = open_page("compute")
    pick(app, "Delete a run", storage.deletable_runs()[0])
    job = jobs.runner().submit("a", "A", lambda progress, cancel: str(go.wait(20)))
    app.button(key="delete run").click().run()
    assert run.exists() and any("A job is running" in text for text in said(app.error))
    go.set()
    while job.is_active:
        time.sleep(0.01)


def write_run(cache: Path) -> Path:
    source = store.bundled_root() / "runs" / "digits" / "logistic_regression" / SHIPPED_RUN
    return shutil.copytree(source, cache / "runs" / "digits" / "logistic_regression" / "mine")


@pytest.mark.parametrize("page", sorted(path.stem for path in (APP.parent / "pages").glob("*.py")))
def test_a_server_that_only_shows_offers_nothing_and_writes_nothing(cache, monkeypatch, page):
    monkeypatch.setenv("RBCORE_READ_ONLY", "1")
    app = open_page(page)
    assert not app.exception and not app.error and not cache.exists()
    assert not {"Train", "Estimate", "Delete it", "Compute them now", "Start again"} & {
        b.label for b in app.button
    }
    if page == "compute":
        assert any("RBCORE_READ_ONLY=1" in text for text in said(app.info))
        assert any("What is bundled" in text for text in said(app.caption))


@pytest.mark.parametrize("page", ["curves", "images"])
def test_a_server_that_only_shows_says_calmly_what_is_not_there(cache, monkeypatch, page):
    monkeypatch.setenv("RBCORE_READ_ONLY", "1")
    for query in (
        {"model": "logistic_regression", "method": "deepfool:paper"},
        {"dataset": "utkface"},
    ):
        app = open_page(page, **query)
        assert not app.exception and not app.error and not app.button and not cache.exists()
        assert any("read-only" in text for text in said(app.caption))
        assert any(
            "No " in text or "not computed yet" in text for text in said(app.info)
        ) and not app.get("page_link")


def test_names_of_jobs_are_shown_as_they_are():
    names = [
        "<script>alert(1)</script>",
        "a|b *x* _y_ `z`",
        "😀 :smile:",
        "x" * 200,
        "שלום",
        "line\n\n# heading",
    ]
    for name in names:
        jobs.runner().submit(name, name, lambda progress, cancel, name=name: f"{name} is done")
    app = wait_for_jobs(open_page("compute"))
    shown = said(app.success)
    for name in names:
        paragraphs = "\n\n".join(line for line in f"{name} is done".splitlines() if line)
        assert f"**{' '.join(name.split())}**: {paragraphs}" in shown
