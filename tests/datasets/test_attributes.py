import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.layouts import write_class_folders
from rbcore import store
from rbcore.cli.main import cli
from rbcore.datasets import attributes, load_dataset
from rbcore.distances.estimate import estimate_distances
from rbcore.distances.stored import stored_distances
from rbcore.errors import CheckpointError, DatasetError
from rbcore.inference import robustness_bias
from rbcore.partitions import N_TRAIN, training_counts
from rbcore.runs.loading import load_model, open_run
from rbcore.training.mitigations import Reweighting
from rbcore.training.train import train
from rbcore.wording import NEVER_TRAINED, verdict, verdicts

METHOD = "minimal:fast"


def write_metadata(root, camera_of):
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*g"))
    lines = [f"{file},{camera_of(number)}" for number, file in enumerate(files)]
    (root / "metadata.csv").write_text("\n".join(["file,camera", *lines]) + "\n")


def own_folder(root, n=9):
    write_class_folders(root, n=n)
    write_metadata(root, lambda number: "AAB"[number % 3])
    return root


def trained(root, **arguments):
    dataset = load_dataset("folder", root=root, size=8)
    run = train("logistic_regression", dataset, epochs=1, **arguments)
    return dataset, run


def counts(rows):
    return rows["camera"].value_counts().to_dict()


def test_a_corrected_attribute_is_what_is_shown_and_nothing_is_computed_again(tmp_path):
    dataset, run = trained(own_folder(tmp_path))
    before = estimate_distances(load_model("logistic_regression", dataset), dataset, METHOD)
    assert stored_distances(run, "last", METHOD).notice == ""
    write_metadata(tmp_path, lambda number: "BBA"[number % 3])  # no pixel changed

    stored = stored_distances(run, "last", METHOD)
    swapped = {"A": counts(before)["B"], "B": counts(before)["A"]}
    assert counts(stored.rows) == swapped
    assert "camera changed" in stored.notice
    again = load_dataset("folder", root=tmp_path, size=8)
    assert again.fingerprint == dataset.fingerprint
    after = estimate_distances(load_model("logistic_regression", again), again, METHOD)
    assert counts(after) == swapped
    pd.testing.assert_series_equal(after["distance"], before["distance"])
    assert (
        len(stored_distances(run, "last", METHOD).provenance.computed) == 1
    )  # nothing more was computed


def test_a_group_that_is_added_later_needs_no_measurement(tmp_path):
    write_class_folders(tmp_path, n=6)
    dataset, run = trained(tmp_path)
    estimate_distances(load_model("logistic_regression", dataset), dataset, METHOD)
    assert attributes.partitions_of(dataset.fingerprint) == ["class"]
    write_metadata(tmp_path, lambda number: "AB"[number % 2])
    stored = stored_distances(run, "last", METHOD)
    assert set(stored.rows["camera"]) == {"A", "B"} and stored.notice == ""
    assert attributes.partitions_of(dataset.fingerprint) == ["class", "camera"]


def test_checksum_and_stamp_change_with_the_attributes(tmp_path):
    dataset, run = trained(own_folder(tmp_path))
    estimate_distances(load_model("logistic_regression", dataset), dataset, METHOD)
    first, stamp = stored_distances(run, "last", METHOD), attributes.stamp_of(dataset.fingerprint)
    write_metadata(tmp_path, lambda number: "C")
    assert attributes.stamp_of(dataset.fingerprint) != stamp
    assert stored_distances(run, "last", METHOD).checksum != first.checksum


def test_metadata_that_cannot_be_used_any_more_is_named(tmp_path):
    dataset, run = trained(own_folder(tmp_path))
    estimate_distances(load_model("logistic_regression", dataset), dataset, METHOD)
    (tmp_path / "metadata.csv").write_text("name,camera\n")
    with pytest.raises(
        DatasetError,
        match=r"metadata\.csv was changed after distances were computed.*no column 'file'",
    ):
        stored_distances(run, "last", METHOD)


def test_without_its_samples_a_table_still_has_its_classes(tmp_path, cache):
    dataset, run = trained(own_folder(tmp_path))
    estimate_distances(load_model("logistic_regression", dataset), dataset, METHOD)
    for file in (cache / "samples").iterdir():
        file.unlink()
    stored = stored_distances(run, "last", METHOD)
    assert set(stored.rows["class"]) == set(dataset.classes) and "camera" not in stored.rows
    assert "attributes of these images are not in this cache" in stored.notice


def test_tables_hold_no_attribute(tmp_path, cache):
    dataset, _ = trained(own_folder(tmp_path))
    estimate_distances(load_model("logistic_regression", dataset), dataset, METHOD)
    (path,) = (cache / "distances").iterdir()
    assert not {"camera", "class"} & set(store.read_table_file(path).rows.columns)


def test_two_folders_share_no_name_and_a_run_is_found_by_its_data(tmp_path):
    first, one = trained(own_folder(tmp_path / "first"))
    second, other = trained(own_folder(tmp_path / "second", n=12))
    assert one.name != other.name
    assert open_run("folder", "logistic_regression", root=tmp_path / "first")[1].name == one.name
    assert open_run("folder", "logistic_regression", root=tmp_path / "second")[1].name == other.name
    assert load_model("logistic_regression", first).facts.run == one.name
    assert load_model("logistic_regression", second).facts.run == other.name
    for command in ("estimate", "bias"):
        arguments = [
            command,
            "folder",
            "logistic_regression",
            METHOD,
            "--root",
            str(tmp_path / "first"),
        ]
        done = CliRunner().invoke(
            cli, arguments + (["--by", "class", "--format", "csv"] if command == "bias" else [])
        )
        assert done.exit_code == 0, done.output
    assert (
        stored_distances(one, "last", METHOD) is not None
        and stored_distances(other, "last", METHOD) is None
    )
    with pytest.raises(DatasetError, match="trained on other content"):
        open_run("folder", "logistic_regression", root=tmp_path / "second", run=one.name)


def test_a_mitigated_run_knows_the_groups_it_protected(tmp_path):
    trained(own_folder(tmp_path))
    protecting = Reweighting("camera", "A", 0.5)
    _, run = trained(tmp_path, mitigation=protecting)
    assert trained(tmp_path, mitigation=protecting)[1].facts == run.facts
    write_metadata(tmp_path, lambda number: "BBA"[number % 3])
    with pytest.raises(CheckpointError, match="another mitigated groups"):
        trained(tmp_path, mitigation=protecting)


def test_training_counts_come_with_the_rows(tmp_path):
    dataset, run = trained(own_folder(tmp_path))
    rows = estimate_distances(load_model("logistic_regression", dataset), dataset, METHOD)
    train_split = dataset.samples[dataset.samples["split"] == "train"]
    counted = rows.attrs[N_TRAIN]
    assert counted["camera"] == train_split["camera"].value_counts().to_dict()
    assert counted["class"] == train_split["class"].value_counts().to_dict()
    assert rows[rows["is_correct"]].reset_index(drop=True).attrs == rows.attrs
    assert stored_distances(run, "last", METHOD).rows.attrs == rows.attrs
    assert not robustness_bias(rows, "camera").empty


def test_a_class_that_was_never_trained_is_named_as_that_and_not_as_least_robust(tmp_path):
    for split, classes in (("train", ("cat", "dog")), ("test", ("cat", "dog", "emu"))):
        write_class_folders(tmp_path / split, classes, n=24)
    dataset, run = trained(tmp_path)
    estimate_distances(load_model("logistic_regression", dataset), dataset, METHOD)
    rows = stored_distances(run, "last", METHOD).rows
    bias = robustness_bias(rows, "class").set_index("group", drop=False)
    assert bias.loc["emu", "n_train"] == 0 and bias.loc["cat", "n_train"] == 24
    assert not bias.loc["emu", "is_ranked"] and pd.isna(bias.loc["emu", "p"])
    assert list(verdicts(bias))[-1] == NEVER_TRAINED
    sentence = verdict(bias)
    assert "Emu" not in sentence.split(".")[0] and "emu (n = 24) was never trained" in sentence
    without = robustness_bias(rows[rows["class"] != "emu"], "class").set_index("group")
    assert without["p_holm"].notna().all()
    assert np.isnan(
        robustness_bias(pd.DataFrame(rows.to_dict("list")), "class")["n_train"]
    ).all()  # a stranger's table


def test_an_intersection_was_never_trained_where_one_of_its_parts_was_not():
    table = pd.DataFrame()
    table.attrs[N_TRAIN] = {"a": {"x": 3}, "b": {"u": 2, "v": 1}, "a*b": {"x × u": 2}}
    np.testing.assert_equal(training_counts(table, "a*b", ["x × u", "x × v"]), [2, 0])
    np.testing.assert_equal(training_counts(table, "b*a", ["u × x", "u × y"]), [np.nan, 0])
    np.testing.assert_equal(training_counts(table, "age:30", ["<30"]), [np.nan])
    np.testing.assert_equal(training_counts(pd.DataFrame(), "a", ["x"]), [np.nan])
