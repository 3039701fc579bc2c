"""Every page of the menu, whatever state the cache is in: no page error, no outside request, and
what is damaged is named.
"""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.serving import ROOT, serve
from rbcore import store
from tests.browser.serving import choose, menu_paths, settled, visit
from tests.pages.app import SHIPPED_RUN, shipped

RUNS = Path("runs", "digits", "logistic_regression")


def walk(page: Page, address: str, query: str = "dataset=digits") -> list[str]:
    """Open every page of the menu; return what each says in warnings and errors."""
    visit(page, f"{address}/curves", "Robustness curves")
    said = []
    for path in menu_paths(page).values():
        page.goto(f"{address}{path}?{query}", wait_until="domcontentloaded")
        expect(page.get_by_role("heading").first).to_be_visible()
        settled(page)
        assert page.get_by_test_id("stException").count() == 0, path
        said.append(" ".join(page.get_by_test_id("stAlert").all_inner_texts()))
    return said


@pytest.fixture(scope="module")
def broken(browser, tmp_path_factory):
    """Address of the app with a damaged sidecar, a truncated table, altered weights and an
    unreadable file; and their names.
    """
    cache = tmp_path_factory.mktemp("broken") / "cache"
    source = store.bundled_root() / RUNS / SHIPPED_RUN
    damaged = shutil.copytree(source, cache / RUNS / "damaged") / "epoch-0012.json"
    damaged.write_text('{"dataset": "digits"')
    altered = shutil.copytree(source, cache / RUNS / SHIPPED_RUN) / "epoch-0012.safetensors"
    altered.write_bytes(altered.read_bytes()[:100])
    stored = shipped("logistic_regression", 12)
    (cache / "distances").mkdir()
    truncated = cache / "distances" / stored.path.name
    truncated.write_bytes(stored.path.read_bytes()[:2000])
    unreadable = cache / "distances" / f"{'0' * 32}.parquet"
    unreadable.mkdir()
    with serve(ROOT, cache) as address:
        yield address, [damaged, truncated, unreadable], altered


def test_every_page_with_all_that_ships(full, page):
    assert not any("damaged" in text or "Cannot" in text for text in walk(page, full))


def test_every_page_with_nothing(empty, page):
    walk(page, empty)


def test_every_page_with_a_half_broken_cache_names_the_files(broken, page):
    address, files, _ = broken
    for text in walk(page, address):
        for file in files:
            assert str(file) in text and "Delete it" in text
    visit(
        page, f"{address}/curves?dataset=digits", "Robustness curves"
    )  # another model's distances
    expect(page.locator('[data-testid="stVegaLiteChart"] svg')).to_have_count(2)


def test_what_is_damaged_itself_is_one_sentence_and_the_way_out_stays(broken, page):
    address, (_, truncated, _), altered = broken
    query = f"dataset=digits&model=logistic_regression&run={SHIPPED_RUN}&epoch=12"
    visit(page, f"{address}/curves?{query}&method=deepfool", "Robustness curves")
    expect(page.get_by_test_id("stMain").get_by_test_id("stAlert")).to_contain_text(str(truncated))
    choose(page, "Distance method", "exact")
    expect(page.locator('[data-testid="stVegaLiteChart"] svg')).to_have_count(2)
    visit(page, f"{address}/images?{query}&method=exact", "Images at the boundary")
    error = page.get_by_test_id("stMain").get_by_test_id("stAlert")
    expect(error).to_contain_text(f"{altered} is not the file its sidecar describes")
    expect(error).to_contain_text("Train the run again")
