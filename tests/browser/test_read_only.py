"""A read-only server: every page is shown, none starts anything, and nothing is written."""

from playwright.sync_api import expect

from benchmarks.serving import ROOT, serve
from tests.browser.serving import menu_paths, settled, visit

STARTS = ("Train", "Estimate", "Compute them now", "Start again", "Delete it")


def test_every_page_shows_and_none_starts_anything(browser, page, tmp_path):
    cache = tmp_path / "cache"
    with serve(ROOT, cache, RBCORE_READ_ONLY="1") as address:
        visit(page, f"{address}/curves", "Robustness curves")
        for path in menu_paths(page).values():
            page.goto(
                f"{address}{path}?dataset=digits&model=logistic_regression",
                wait_until="domcontentloaded",
            )
            expect(page.get_by_role("heading").first).to_be_visible()
            settled(page)
            for name in STARTS:
                assert page.get_by_role("button", name=name, exact=True).count() == 0, (path, name)
            assert page.get_by_test_id("stFileUploader").count() == 0
        visit(page, f"{address}/compute", "Compute")
        expect(page.get_by_test_id("stAlert")).to_contain_text("This server is read-only")
        visit(page, f"{address}/curves?dataset=digits&method=deepfool:paper", "Robustness curves")
        expect(page.get_by_test_id("stAlert")).to_contain_text(
            "These distances are not computed yet"
        )
        assert not cache.exists()
