import shutil

import pytest

from rbcore import store
from rbcore.errors import StoreError
from rbcore.runs.checkpoints import list_runs
from rbcore.store import storage
from tests.pages.app import SHIPPED_RUN, shipped

NAMES = ("digits", "logistic_regression", "mine")


def copied_run(cache, *, name="mine"):
    """A run of the user's: the files of a shipped one."""
    source = store.bundled_root() / "runs" / "digits" / "logistic_regression" / SHIPPED_RUN
    return shutil.copytree(source, cache / "runs" / "digits" / "logistic_regression" / name)


def copied_table(cache):
    stored = shipped()
    folder = cache / "distances"
    folder.mkdir(parents=True)
    return shutil.copy(stored.path, folder / stored.path.name)


def test_sizes_are_those_of_the_files_and_what_ships_is_not_counted(cache):
    assert storage.disk_use() == dict.fromkeys(storage.KINDS, 0)
    run, table = copied_run(cache), copied_table(cache)
    sizes = storage.disk_use()
    assert sizes["runs"] == sum(file.stat().st_size for file in run.iterdir()) > 0
    assert sizes["distances"] == table.stat().st_size and sizes["parts"] == sizes["datasets"] == 0
    (item,) = storage.deletable_runs()
    assert (item.path, item.name, item.n_bytes) == (run, " / ".join(NAMES), sizes["runs"])
    (item,) = storage.deletable_tables()
    assert (
        item.path == table
        and item.name == "digits / small_cnn / modern-8px-12ep-seed0 / epoch 12 / deepfool"
    )


def test_a_run_and_a_table_go_and_nothing_else(cache):
    run, other, table = copied_run(cache), copied_run(cache, name="other"), copied_table(cache)
    storage.delete_run(run)
    assert not run.exists() and other.exists() and table.exists()
    storage.delete_table(table)
    assert not table.exists() and other.exists()
    assert shipped().path.exists() and len(list_runs("digits")) >= 2


def test_what_is_damaged_or_unfinished_can_be_deleted_too(cache):
    run, table = copied_run(cache), copied_table(cache)
    (run / "epoch-0012.json").write_text("{")
    table.write_bytes(b"PAR1")
    unfinished = cache / "runs" / "digits" / "small_cnn" / "begun"
    unfinished.mkdir(parents=True)
    (unfinished / "resume.safetensors").write_bytes(b"x")
    (damaged,) = storage.deletable_tables()
    assert damaged.name == f"damaged: {table.name}"
    for item in storage.deletable_runs():
        storage.delete_run(item.path)
    storage.delete_table(damaged.path)
    assert not run.exists() and not unfinished.exists() and not table.exists()


@pytest.mark.parametrize(
    "kind", ["shipped", "outside", "up", "too deep", "the folder above", "a link", "gone"]
)
def test_no_path_leads_out_of_the_users_cache(cache, tmp_path, kind):
    mine = copied_run(cache)
    outside = shutil.copytree(mine, tmp_path / "runs" / "digits" / "logistic_regression" / "mine")
    link = cache / "runs" / "digits" / "logistic_regression" / "link"
    link.symlink_to(outside)
    path = {
        "shipped": store.bundled_root() / "runs" / "digits" / "logistic_regression" / SHIPPED_RUN,
        "outside": outside,
        "up": mine
        / ".."
        / ".."
        / ".."
        / ".."
        / ".."
        / "runs"
        / "digits"
        / "logistic_regression"
        / "mine",
        "too deep": mine / "epoch-0001.json",
        "the folder above": mine.parent,
        "a link": link,
        "gone": mine.with_name("gone"),
    }[kind]
    with pytest.raises(StoreError, match="not deleted|gone already"):
        storage.delete_run(path)
    assert mine.exists() and outside.exists() and link.is_symlink()


def test_tables_are_deleted_by_their_own_names_only(cache, tmp_path):
    table = copied_table(cache)
    others = [
        shipped("logistic_regression").path,
        cache / "distances" / "notes.parquet",
        tmp_path / table.name,
    ]
    others[1].touch()
    shutil.copy(table, others[2])
    for path in [*others, cache / "distances" / ".." / ".." / table.name]:
        with pytest.raises(StoreError, match="not deleted"):
            storage.delete_table(path)
    assert all(path.exists() for path in [table, *others])


def test_a_cache_that_is_what_ships_offers_nothing(monkeypatch):
    monkeypatch.setenv("RBCORE_CACHE", str(store.bundled_root()))
    assert not storage.deletable_runs() and not storage.deletable_tables()
    with pytest.raises(StoreError, match="not deleted"):
        storage.delete_table(shipped().path)


def test_what_a_link_leads_to_is_neither_listed_nor_measured(cache, tmp_path):
    """A link to the root of the disk among the runs had the whole disk measured."""
    run, table = copied_run(cache), copied_table(cache)
    elsewhere = shutil.copytree(run, tmp_path / "elsewhere" / "model" / "run")
    (cache / "runs" / "linked").symlink_to(elsewhere.parent.parent)
    (table.parent / ("0" * 32 + ".parquet")).symlink_to(table)
    assert [item.path for item in storage.deletable_runs()] == [run]
    assert [item.path for item in storage.deletable_tables()] == [table]
