import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rbcore import store
from rbcore.errors import StoreError
from rbcore.norms import Norm
from tests.damage import damages
from tests.records import computed, content_of, provenance, table_key, write_sealed

KEY, HISTORY = table_key(), provenance()
ROWS = pd.DataFrame(
    {"sample_id": ["a", "b"], "distance": [0.1, float("nan")], "is_correct": [True, False]}
)


def test_a_table_comes_back_with_its_facts(cache):
    path = store.write_table(ROWS, KEY, HISTORY)
    assert path.parent == cache / "distances"
    stored = store.read_table(KEY)
    pd.testing.assert_frame_equal(stored.rows, ROWS)
    assert (stored.key, stored.provenance) == (KEY, HISTORY)
    assert stored.checksum == store.sha256_of_rows(ROWS)
    assert store.read_table(table_key(weights="v")) is None


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "v"},
        {"dataset": "e"},
        {"method": "exact"},
        {"parameters": {"steps": 51, "overshoot": 0.02}},
        {"split": "train"},
        {"version": 3},
        {"norm": Norm.LINF},
    ],
    ids=str,
)
def test_every_fact_is_in_the_key(change):
    assert table_key(**change).digest != KEY.digest


def test_the_order_of_facts_is_not_in_the_key():
    turned = table_key(parameters={"overshoot": 0.02, "steps": 50})
    assert turned.digest == KEY.digest


def test_parts_are_kept_until_a_table_holds_them(cache):
    store.write_part(KEY, ROWS.iloc[1:], computed(rows=1))
    store.write_part(KEY, ROWS.iloc[:1], computed(rows=1))
    store.write_part(KEY, ROWS.iloc[:1], computed(rows=1))
    parts = store.read_parts(KEY)
    assert sorted(list(part.rows["sample_id"]) for part in parts) == [["a"], ["b"]]
    store.remove_parts(KEY, parts[:1])
    assert len(store.read_parts(KEY)) == 1
    store.remove_parts(KEY, parts)
    assert store.read_parts(KEY) == [] and not list((cache / "parts").iterdir())


@pytest.mark.parametrize("keep", [0, 10, 300, -1])
def test_a_truncated_file_is_named_with_the_remedy(keep):
    path = store.write_table(ROWS, KEY, HISTORY)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        StoreError, match=rf"{path.name} is damaged .*Delete it; it will be computed again"
    ):
        store.read_table(KEY)


def test_a_foreign_parquet_file_is_named(cache):
    path = cache / "distances" / "x.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(StoreError, match=r"x\.parquet is damaged"):
        store.read_table_file(path)


def test_nothing_half_written_is_ever_seen(cache):
    store.write_table(ROWS, KEY, HISTORY)
    path = store.write_table(ROWS, KEY, provenance(run="second"))
    assert [file.name for file in path.parent.iterdir()] == [path.name]

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left on device.*RBCORE_CACHE"):
        store.write_atomically(path, fail)
    assert store.read_table(KEY).provenance.run == "second"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_cache_that_is_a_file_is_named(tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("RBCORE_CACHE", str(blocked))
    assert store.read_table(KEY) is None
    with pytest.raises(StoreError, match=f"Cannot write {blocked}.*RBCORE_CACHE"):
        store.write_table(ROWS, KEY, HISTORY)


def test_where_results_go(monkeypatch, tmp_path):
    monkeypatch.setenv("RBCORE_CACHE", str(tmp_path))
    assert store.cache_root() == tmp_path
    monkeypatch.delenv("RBCORE_CACHE")
    assert store.cache_root().parts[-1] == "cache"
    monkeypatch.setattr(store.files, "_CHECKOUT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert "rbcore" in os.fspath(store.cache_root())


def test_the_users_table_hides_the_shipped_one(monkeypatch, tmp_path):
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    monkeypatch.setattr(store.files, "bundled_root", lambda: shipped)
    monkeypatch.setenv("RBCORE_CACHE", str(shipped))
    store.write_table(ROWS, KEY, provenance(run="project"))
    monkeypatch.setenv("RBCORE_CACHE", str(own))
    assert store.read_table(KEY).provenance.run == "project"
    store.write_table(ROWS, KEY, provenance(run="user"))
    assert store.read_table(KEY).provenance.run == "user"


@pytest.mark.parametrize("damage", ["truncated", "a folder", "foreign", "a broken link"])
def test_a_damaged_table_is_named_and_the_others_are_found(cache, damage):
    good = store.write_table(ROWS, KEY, HISTORY)
    bad = store.write_table(ROWS, table_key(method="minimal"), HISTORY)
    content = bad.read_bytes()
    bad.unlink()
    if damage == "truncated":
        bad.write_bytes(content[: len(content) // 2])
    elif damage == "a folder":
        bad.mkdir()
    elif damage == "foreign":
        ROWS.to_parquet(bad)
    else:
        bad.symlink_to(cache / "gone")
    assert store.files_with(split="test", weights="w") == {good: KEY}
    (sentence,) = store.damaged_tables()
    assert str(bad) in sentence and "Delete it" in sentence


def many_rows(n=200):
    random = np.random.default_rng(1)
    ids = [f"image-{i}" for i in range(n)]
    return pd.DataFrame(
        {"sample_id": ids, "distance": random.random(n), "is_correct": random.random(n) < 0.9}
    )


def test_no_damage_to_a_table_is_read_as_other_numbers():
    rows = many_rows()
    path = store.write_table(rows, KEY, HISTORY)
    refused = 0
    for what in damages(path, 150):
        try:
            stored = store.read_table(KEY)
        except StoreError as error:
            assert str(path) in str(error), what
            refused += 1
            continue
        pd.testing.assert_frame_equal(stored.rows, rows)
        assert (stored.key, stored.provenance) == (KEY, HISTORY), what
    assert refused > 100 and store.read_table(KEY) is not None


def test_a_damaged_part_is_computed_again():
    rows = many_rows(20)
    store.write_part(KEY, rows, computed(rows=20))
    (part,) = store.read_parts(KEY)
    content = part.path.read_bytes()
    for what in damages(part.path, 60):
        for found in store.read_parts(KEY):
            pd.testing.assert_frame_equal(found.rows, rows)
        part.path.write_bytes(part.path.read_bytes() if part.path.exists() else content)
        assert what
    part.path.write_bytes(content[:50])
    assert store.read_parts(KEY) == [] and not part.path.exists()


def test_a_part_of_another_key_is_not_joined():
    store.write_part(KEY, ROWS, computed(rows=2))
    (part,) = store.read_parts(KEY)
    other = table_key(weights="v")
    store.write_part(other, ROWS, computed(rows=2))
    (stranger,) = store.read_parts(other)
    stranger.path.write_bytes(part.path.read_bytes())
    assert store.read_parts(other) == []


def test_a_renamed_table_is_refused():
    path = store.write_table(ROWS, KEY, HISTORY)
    other = table_key(weights="v")
    path.rename(path.with_name(f"{other.digest}.parquet"))
    with pytest.raises(StoreError, match="holds the distances of another key"):
        store.read_table(other)
    assert store.files_with(split="test", weights="w") == {} and len(store.damaged_tables()) == 1


def test_no_damage_to_facts_is_read_as_others(cache):
    path, facts = (
        cache / "facts.json",
        {"mean": [0.5, 0.25], "name": "größe", "n": 3, "nothing": None},
    )
    write_sealed(path, facts)
    for what in damages(path, 150):
        try:
            assert content_of(path) == facts, what
        except StoreError as error:
            assert str(path) in str(error), what
    assert content_of(path) == facts


def test_facts_that_somebody_edited_or_another_program_wrote_are_refused(cache):
    path = cache / "facts.json"
    write_sealed(path, {"n": 3})
    path.write_text(path.read_text().replace("3", "4", 1))
    with pytest.raises(StoreError, match=r"facts\.json: it was altered"):
        content_of(path)
    path.write_text(json.dumps({"n": 3}))
    with pytest.raises(StoreError, match=r"facts\.json: it has no seal"):
        content_of(path)


def test_the_checksum_of_rows_tells_values_apart_but_not_libraries():
    def same(one, other):
        return store.sha256_of_rows(pd.DataFrame({"a": one})) == store.sha256_of_rows(
            pd.DataFrame({"a": other})
        )

    assert same(pd.Series(["x", "y"], dtype=object), pd.Series(["x", "y"], dtype="category"))
    assert same([0.0, np.nan], [-0.0, float("nan")]) and same(
        np.array([1, 2], np.int8), np.array([1, 2], np.int64)
    )
    assert (
        not same(["ab", "c"], ["a", "bc"])
        and not same(["", "x"], [None, "x"])
        and not same(["1"], [1])
    )
    assert not same([1, 0], [True, False]) and not same([1.0, 2.0], [2.0, 1.0])


@pytest.mark.slow
def test_what_a_killed_process_left_half_written_goes_with_the_next_writing(tmp_path):
    """It stayed for ever. What is still being written, here or on another machine, stays."""
    path = tmp_path / "table[1].json"
    code = (
        "import os; from pathlib import Path; from rbcore import store; "
        f"store.write_atomically(Path({str(path)!r}), "
    )
    code += "lambda temporary: (temporary.write_text('half'), os._exit(1)))"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    (left,) = tmp_path.iterdir()
    machine, process = left.name.split(".")[-4:-2]
    others = [
        left.name.replace(machine, "0" * 8),
        left.name.replace(f".{process}.", f".{os.getpid()}."),
    ]
    for name in others:
        (tmp_path / name).write_text("half")
    store.write_text(path, "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*others, path.name])
