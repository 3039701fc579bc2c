import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rbcore import store
from rbcore.errors import StoreError

FACTS = {"weights": "w", "dataset": "d", "method": "deepfool", "parameters": {"steps": 50, "overshoot": 0.02}}
ROWS = pd.DataFrame({"sample_id": ["a", "b"], "distance": [0.1, float("nan")], "is_correct": [True, False]})


def test_a_table_comes_back_with_its_facts(cache):
    path = store.write_table(ROWS, FACTS, {"seconds": 1.5})
    assert path.parent == cache / "distances"
    stored = store.read_table(FACTS)
    pd.testing.assert_frame_equal(stored.rows, ROWS)
    assert (stored.key_facts, stored.provenance) == (FACTS, {"seconds": 1.5})
    assert stored.checksum == store.sha256_of_rows(ROWS)
    assert store.read_table(FACTS | {"weights": "v"}) is None


@pytest.mark.parametrize(
    "change",
    [{"weights": "v"}, {"dataset": "e"}, {"method": "exact"}, {"parameters": {"steps": 51, "overshoot": 0.02}}],
    ids=str,
)
def test_every_fact_is_in_the_key(change):
    assert store.distances_key(FACTS | change) != store.distances_key(FACTS)


def test_the_order_of_facts_is_not_in_the_key():
    turned = dict(reversed(FACTS.items()))
    assert store.distances_key(turned) == store.distances_key(FACTS)


def test_parts_are_kept_until_a_table_holds_them(cache):
    store.write_part(FACTS, "b", ROWS.iloc[1:], {"rows": 1})
    store.write_part(FACTS, "a", ROWS.iloc[:1], {"rows": 1})
    store.write_part(FACTS, "a", ROWS.iloc[:1], {"rows": 1})
    parts = store.read_parts(FACTS)
    assert sorted(list(part.rows["sample_id"]) for part in parts) == [["a"], ["b"]]
    store.remove_parts(FACTS, parts[:1])
    assert len(store.read_parts(FACTS)) == 1
    store.remove_parts(FACTS, parts)
    assert store.read_parts(FACTS) == [] and not list((cache / "parts").iterdir())


@pytest.mark.parametrize("keep", [0, 10, 300, -1])
def test_a_truncated_file_is_named_with_the_remedy(keep):
    path = store.write_table(ROWS, FACTS, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StoreError, match=rf"{path.name} is damaged .*Delete it; it will be computed again"):
        store.read_table(FACTS)


def test_a_foreign_parquet_file_is_named(cache):
    path = cache / "distances" / "x.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(StoreError, match=r"x\.parquet is damaged"):
        store.read_table_file(path)


def test_nothing_half_written_is_ever_seen(cache):
    store.write_table(ROWS, FACTS, {})
    path = store.write_table(ROWS, FACTS, {"second": True})
    assert [file.name for file in path.parent.iterdir()] == [path.name]

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left on device.*RBCORE_CACHE"):
        store.write_atomically(path, fail)
    assert store.read_table(FACTS).provenance == {"second": True}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_cache_that_is_a_file_is_named(tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("RBCORE_CACHE", str(blocked))
    assert store.read_table(FACTS) is None
    with pytest.raises(StoreError, match=f"Cannot write {blocked}.*RBCORE_CACHE"):
        store.write_table(ROWS, FACTS, {})


def test_where_results_go(monkeypatch, tmp_path):
    monkeypatch.setenv("RBCORE_CACHE", str(tmp_path))
    assert store.cache_root() == tmp_path
    monkeypatch.delenv("RBCORE_CACHE")
    assert store.cache_root().parts[-1] == "cache"
    monkeypatch.setattr(store, "_CHECKOUT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert "rbcore" in os.fspath(store.cache_root())


def test_the_users_table_hides_the_shipped_one(monkeypatch, tmp_path):
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    monkeypatch.setattr(store, "bundled_root", lambda: shipped)
    monkeypatch.setenv("RBCORE_CACHE", str(shipped))
    store.write_table(ROWS, FACTS, {"by": "project"})
    monkeypatch.setenv("RBCORE_CACHE", str(own))
    assert store.read_table(FACTS).provenance == {"by": "project"}
    store.write_table(ROWS, FACTS, {"by": "user"})
    assert store.read_table(FACTS).provenance == {"by": "user"}


@pytest.mark.parametrize("damage", ["truncated", "a folder", "foreign", "a broken link"])
def test_a_damaged_table_is_named_and_the_others_are_found(cache, damage):
    good = store.write_table(ROWS, FACTS, {})
    bad = store.write_table(ROWS, {**FACTS, "method": "minimal"}, {})
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
    assert store.files_with({"weights": "w"}) == {good: FACTS}
    (sentence,) = store.damaged_tables()
    assert str(bad) in sentence and "Delete it" in sentence
