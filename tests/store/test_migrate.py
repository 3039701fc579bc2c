"""A cache that the version before wrote: written here by hand, migrated, and read as before."""

import hashlib
import json
import shutil

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import rbcore as rb
from rbcore import store
from rbcore.cli.main import cli
from rbcore.datasets import DATASETS
from rbcore.datasets.attributes import SamplesFacts
from rbcore.datasets.reading.folders import is_checked, known_folder
from rbcore.errors import OldCacheError, StoreError
from rbcore.runs.checkpoints import damaged_runs, find_run
from rbcore.store.migrate import migrate
from tests.records import computed, content_of, provenance, table_key

KEY = table_key()
ROWS = pd.DataFrame(
    {"sample_id": ["a", "b"], "distance": [0.1, float("nan")], "is_correct": [True, False]}
)
SAMPLES = pd.DataFrame({"sample_id": ["a", "b"], "split": ["test", "train"], "class": ["x", "y"]})


def hash_of(facts):
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_old_rows(path, rows, facts):
    """Write rows as the version before did: no number of a format, and a seal over the rest."""
    facts = {**facts, "checksum": store.sha256_of_rows(rows)}
    table = pa.Table.from_pandas(rows, preserve_index=False)
    text = json.dumps({**facts, "seal": hash_of(facts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table.replace_schema_metadata({**table.schema.metadata, b"rbcore": text.encode()}), path
    )
    return path


def write_old_json(path, facts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**facts, "seal": hash_of(facts)}))
    return path


def old_key():
    facts = KEY.model_dump(mode="json")
    del facts["norm"]
    return facts


def write_old_table(cache):
    path = cache / "distances" / f"{hash_of(old_key())[:32]}.parquet"
    history = provenance().model_dump(mode="json")
    for one in history["computed"]:
        del one["strata"]
    return write_old_rows(path, ROWS, {"key_facts": old_key(), "provenance": history})


def write_old_part(cache):
    path = cache / "parts" / hash_of(old_key())[:32] / "part.parquet"
    facts = {"key_facts": old_key(), "provenance": computed().model_dump(mode="json")}
    return write_old_rows(path, ROWS, facts)


def counts():
    return {
        result.kind: (result.n_migrated, result.n_readable, len(result.problems))
        for result in migrate()
        if result.n_migrated + result.n_readable + len(result.problems)
    }


def test_an_old_table_is_said_to_be_old_and_reads_to_the_same_rows_once_migrated(cache):
    old = write_old_table(cache)
    with pytest.raises(OldCacheError, match=f"{old.name} was written by an older version.*migrate"):
        store.read_table(KEY)
    assert store.files_with(split="test", weights="w") == {}
    (sentence,) = store.damaged_tables()
    assert str(old) in sentence and "python -m rbcore migrate" in sentence
    assert counts() == {"tables of distances": (1, 0, 0)}
    stored = store.read_table(KEY)
    pd.testing.assert_frame_equal(stored.rows, ROWS)
    assert stored.provenance == provenance() and stored.rows.attrs == {"norm": "l2"}
    assert [path.name for path in old.parent.iterdir()] == [f"{KEY.digest}.parquet"]
    content = stored.path.read_bytes()
    assert counts() == {"tables of distances": (0, 1, 0)}
    assert stored.path.read_bytes() == content


def test_old_parts_are_never_computed_again_unsaid(cache):
    old = write_old_part(cache)
    with pytest.raises(OldCacheError, match="older version"):
        store.read_parts(KEY)
    assert counts() == {"finished batches of estimates": (1, 0, 0)}
    (part,) = store.read_parts(KEY)
    pd.testing.assert_frame_equal(part.rows, ROWS)
    assert part.provenance == computed() and not old.parent.exists()


def test_samples_and_lists_are_migrated(cache, tmp_path):
    facts = {
        **{"fingerprint": "f" * 64, "size": 8, "seed": 0, "validation": 0.0, "dataset": "digits"},
        **{"root": None, "files": {"/gone": None, "/here": [3, 17]}, "attributes": {"age": "h"}},
    }
    path = write_old_rows(cache / "samples" / f"{'f' * 32}.parquet", SAMPLES, facts)
    folders, spec = cache / "datasets" / "folders.json", DATASETS["utkface"]
    write_old_json(folders, {"utkface": str(tmp_path)})
    write_old_json(folders.with_name("unchecked.json"), {"utkface": [str(tmp_path.resolve())]})
    decoded = {"names": ["a"], "broken": [["b", "why"]], "sha256": "c", "marks": {"turned": 1}}
    write_old_json(folders.with_name("utkface-64px-0.json"), decoded)
    with pytest.raises(OldCacheError, match=r"folders\.json was written by an older version"):
        known_folder(spec)
    assert counts() == {"samples of datasets": (1, 0, 0), "lists beside decoded images": (3, 0, 0)}
    rows, record, _ = store.read_rows(path, SamplesFacts)
    pd.testing.assert_frame_equal(rows, SAMPLES)
    assert record.files == {"/gone": None, "/here": (3, 17)} and record.attributes == {"age": "h"}
    assert known_folder(spec) == tmp_path and not is_checked(spec, tmp_path)


def write_old_run(cache):
    """A checkpoint of a shipped run as the version before wrote it, renamed and made mitigated."""
    run = find_run("digits", "small_cnn")
    folder = cache / "runs" / "digits" / "small_cnn" / "old"
    facts = content_of(run.folder / "epoch-0012.json") | {"run": "old"}
    facts["mitigation"] = {"kind": "adversarial", "epsilon": 0.5, "steps": 3}
    said = {"attack_passes": 135}
    facts["history"] = [
        {name: value for name, value in one.items() if value is not None} | said
        for one in facts["history"]
    ]
    path = write_old_json(folder / "epoch-0012.json", facts | said)
    shutil.copy(run.folder / "epoch-0012.safetensors", folder)
    return path


def test_an_old_run_is_named_and_reads_to_the_same_once_migrated(cache):
    path = write_old_run(cache)
    assert "old" not in {run.name for run in rb.list_runs("digits")}
    (sentence,) = damaged_runs("digits")
    assert str(path) in sentence and "older version" in sentence
    with pytest.raises(StoreError, match="older version.*python -m rbcore migrate"):
        find_run("digits", "small_cnn", "old")
    assert counts() == {"sidecars of runs": (1, 0, 0)}
    found, shipped = find_run("digits", "small_cnn", "old"), find_run("digits", "small_cnn")
    assert found.mitigation == {"kind": "adversarial", "epsilon": 0.5, "steps": 3}
    assert [one.of_mitigation for one in found.facts.history] == [{"attack_passes": 135}] * 12
    assert found.facts.sha256 == shipped.facts.sha256
    assert found.facts.test_accuracy == shipped.facts.test_accuracy
    assert counts() == {"sidecars of runs": (0, 1, 0)}
    digits = rb.load_dataset("digits")
    assert rb.load_model("small_cnn", digits, run="old").weights_sha256 == shipped.facts.sha256


def test_a_sidecar_that_lacks_a_field_is_refused_by_name_and_field(cache):
    path = write_old_run(cache)
    content = json.loads(path.read_text())
    del content["seal"], content["n_test"]
    write_old_json(path, content)
    result = CliRunner().invoke(cli, ["migrate"])
    assert result.exit_code == 1 and f"Cannot read {path}: it lacks 'n_test'" in result.stderr


@pytest.mark.parametrize("damage", ["a distance", "the key", "cut", "renamed", "computed anew"])
def test_what_cannot_be_migrated_is_named_and_stays(cache, damage):
    old = write_old_table(cache)
    table = pq.read_table(old)
    if damage == "a distance":
        rows = ROWS.assign(distance=[0.2, float("nan")])
        altered = pa.Table.from_pandas(rows, preserve_index=False)
        pq.write_table(altered.replace_schema_metadata(table.schema.metadata), old)
    elif damage == "the key":
        text = table.schema.metadata[b"rbcore"].replace(b'"steps": 50', b'"steps": 51')
        metadata = {**table.schema.metadata, b"rbcore": text}
        pq.write_table(table.replace_schema_metadata(metadata), old)
    elif damage == "cut":
        old.write_bytes(old.read_bytes()[:300])
    elif damage == "renamed":
        old = old.rename(old.with_name("0" * 32 + ".parquet"))
    else:
        store.write_table(ROWS.assign(distance=[0.3, 0.4]), KEY, provenance())
    content = old.read_bytes()
    result = CliRunner().invoke(cli, ["migrate"])
    assert result.exit_code == 1
    assert str(old) in result.stderr and "Delete" in result.stderr and "Trace" not in result.stderr
    assert old.read_bytes() == content


def test_the_command_counts_files(cache):
    write_old_table(cache)
    for expected in ("tables of distances,1,0,0", "tables of distances,0,1,0"):
        result = CliRunner().invoke(cli, ["migrate", "--format", "csv"])
        assert result.exit_code == 0 and expected in result.stdout.splitlines()
