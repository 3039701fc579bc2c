import json
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

import pandas as pd
import pytest

import rbcore as rb
from benchmarks.layouts import write_faces
from rbcore import store
from rbcore.cli.main import main


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments):
    """Run the command line inside this process, which saves the imports."""
    stdout, stderr = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setattr(sys, "argv", ["rbcore", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    return Done(stopped.value.code or 0, stdout.getvalue(), stderr.getvalue())


def table_of(*arguments):
    done = run(*arguments, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return pd.read_csv(StringIO(done.stdout), dtype={"group": str})


@pytest.mark.slow
def test_help_names_every_command():
    done = subprocess.run(
        [sys.executable, "-m", "rbcore", "--help"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0
    for command in (
        "datasets",
        "models",
        "methods",
        "train",
        "grid",
        "estimate",
        "bias",
        "reproduce",
        "verify",
    ):
        assert command in done.stdout
        assert run(command, "--help").returncode == 0


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("datasets", rb.datasets.DATASETS),
        ("models", rb.models.MODELS),
        ("methods", rb.distances.METHODS),
    ],
)
def test_registries_are_listed_in_every_format(command, names):
    assert list(table_of(command)["name"]) == list(names)
    done = run(command, "--format", "json")
    assert [row["name"] for row in json.loads(done.stdout)] == list(names)
    done = run(command)
    assert all(name in done.stdout for name in names)


def test_bias_prints_what_the_library_measures():
    table = table_of("bias", "digits", "small_cnn", "deepfool", "--by", "class")
    assert {"group", "n", "accuracy", "auc", "sigma", "low", "high"} <= set(table.columns)
    stored = rb.stored_distances(rb.list_runs("digits", "small_cnn")[0], "last", "deepfool")
    expected = rb.robustness_bias(stored.rows, "class")
    pd.testing.assert_frame_equal(table[expected.columns], expected, check_dtype=False, rtol=1e-9)


def test_bias_takes_every_epoch():
    table = table_of(
        "bias", "digits", "logistic_regression", "exact", "--by", "class", "--epoch", "all"
    )
    assert len(table) == 120 and list(table["epoch"].unique()) == list(range(1, 13))


@pytest.mark.slow
def test_train_estimate_bias_verify_on_faces(tmp_path, monkeypatch):
    """The whole way of a new user with a folder of faces, where nothing ships: to verify that is
    the work of another test.
    """
    monkeypatch.setattr(store.files, "bundled_root", lambda: tmp_path / "nothing")
    faces = write_faces(tmp_path / "faces", n=100)
    (faces / "61_1_20170109142408075.jpg").write_bytes(b"")
    done = run(
        "train",
        "utkface",
        "small_cnn",
        "--epochs",
        2,
        "--size",
        16,
        "--seed",
        1,
        "--root",
        faces,
        "--run",
        "mine",
    )
    assert done.returncode == 0, done.stderr
    assert "skipped 61_1_20170109142408075.jpg: the name is not" in done.stderr
    assert "checkpoints will take about" in done.stderr and "training epoch 2 of 2" in done.stderr
    assert "mine" in done.stdout and "training" not in done.stdout
    table = table_of(
        "estimate",
        "utkface",
        "small_cnn",
        "deepfool",
        "--limit",
        12,
        "--epoch",
        "all",
        "--set",
        "steps=20",
    )
    assert list(table["n"]) == [12, 12] and list(table["epoch"]) == [1, 2]
    verified = table_of("verify", "--rows", 2)
    assert len(verified) == 2 and verified["ok"].all() and (verified["recomputed"] == 2).all()
    groups = table_of(
        "bias", "utkface", "small_cnn", "deepfool", "--by", "gender", "--set", "steps=20"
    )
    assert set(groups["group"]) == {"male", "female"} and groups["n"].sum() == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("estimate", "digits", "small_cnn", "depfool"),
            "no method 'depfool'. Did you mean 'deepfool'",
        ),
        (("estimate", "digits", "small_cn", "deepfool"), "no model 'small_cn'"),
        (("estimate", "digit", "small_cnn", "deepfool"), "no dataset 'digit'"),
        (("estimate", "digits", "small_cnn", "deepfool", "--epoch", "77"), "no epoch of run"),
        (
            ("estimate", "digits", "small_cnn", "deepfool", "--run", "x"),
            "no run of small_cnn on digits 'x'",
        ),
        (
            ("estimate", "digits", "small_cnn", "deepfool", "--set", "steps"),
            "not of the form NAME=VALUE",
        ),
        (
            ("estimate", "digits", "small_cnn", "deepfool", "--device", "tpu"),
            "'tpu' is not a device",
        ),
        (("estimate", "digits", "small_cnn", "exact"), "not linear"),
        (("bias", "digits", "small_cnn", "deepfool", "--by", "race"), "no partition 'race'"),
        (
            ("bias", "digits", "small_cnn", "deepfool:paper", "--by", "class"),
            "python -m rbcore estimate digits small_cnn deepfool:paper",
        ),
        (
            ("train", "utkface", "small_cnn", "--root", "/nowhere/faces"),
            "/nowhere/faces does not exist",
        ),
        (("train", "utkface", "small_cnn"), "UTKFace needs the folder"),
        (("train", "digits", "small_cnn", "--keep", "some"), "keep='some'"),
        (("train", "digits", "utk_classifier"), "16"),
        (("train", "digits", "small_cnn", "--seed", "-1"), "seed=-1 is not a valid seed"),
        (("train", "digits", "small_cnn", "--size", "0"), "size 0"),
        (
            ("bias", "digits", "*", "deepfool", "--by", "class"),
            "There is no model '*'",
        ),
        (
            ("bias", "digits", "small_cnn", "deepfool", "--by", "class", "--rest", "others"),
            "no policy rest 'others'",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_get_one_sentence_and_exit_code_2(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_verify_finds_what_was_altered(cache, tmp_path, monkeypatch):
    run_ = rb.list_runs("digits", "small_cnn")[0]
    stored, sound = (
        rb.stored_distances(run_, "last", method) for method in ("deepfool", "minimal")
    )
    few = tmp_path / "few shipped"  # to verify all that ships is the work of tests/test_bundled.py
    (few / "distances").mkdir(parents=True)
    for table in (stored, sound):
        shutil.copy(table.path, few / "distances")
    shutil.copytree(run_.folder, few / run_.folder.relative_to(store.bundled_root()))
    monkeypatch.setattr(store.files, "bundled_root", lambda: few)
    changed = stored.rows.assign(distance=stored.rows["distance"] * 0.5)
    honest = store.write_table(
        changed, stored.key, stored.provenance
    )  # checksum fits, numbers do not
    truncated = cache / "distances" / ("0" * 32 + ".parquet")
    truncated.write_bytes(stored.path.read_bytes()[:500])
    renamed = cache / "distances" / ("1" * 32 + ".parquet")
    renamed.write_bytes(stored.path.read_bytes())
    done = run("verify", "--format", "json", "--rows", 3)
    assert done.returncode == 1
    findings = {row["file"]: row for row in json.loads(done.stdout)}
    assert "recomputed rows differ" in findings[str(honest)]["finding"]
    assert "is damaged" in findings[str(truncated)]["finding"]
    assert "distances of another key" in findings[str(renamed)]["finding"]
    assert sum(row["ok"] for row in findings.values()) == len(findings) - 3 == 2


@pytest.mark.parametrize(
    ("option", "command"),
    [
        ("--weights", ["train", "digits", "small_cnn", "--epochs", "1"]),
        ("--run", ["train", "digits", "small_cnn", "--epochs", "1"]),
        ("--epsilons", ["grid", "digits", "small_cnn", "--regularize", "class=1", "--epochs", "1"]),
        ("--shares", ["grid", "digits", "small_cnn", "--regularize", "class=1", "--epochs", "1"]),
    ],
)
def test_an_empty_value_is_refused_and_not_the_default(option, command):
    """An unset variable of the shell is an empty value: the default was trained in its place."""
    done = run(*command, option, "")
    assert done.returncode == 2 and done.stderr.strip().splitlines()[-1].startswith("error: ")


def test_a_path_that_no_system_can_have_is_refused():
    done = run("train", "digits", "small_cnn", "--epochs", "1", "--weights", "a" * 5000)
    assert done.returncode == 2 and "do not exist" in done.stderr
