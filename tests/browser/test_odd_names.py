"""Names that a page could take for its own language, on the pages whose charts are
labeled by them.
"""

import pytest
from playwright.sync_api import expect

from benchmarks.serving import ROOT, serve
from rbcore import store
from tests.browser.serving import expect_picked, extents, picker, settled, visit
from tests.browser.test_agreement import ODD_GROUPS
from tests.pages.app import shipped


@pytest.fixture
def odd(browser, tmp_path):
    """Address of the app with the digits' classes called otherwise in the distances
    of one network.
    """
    cache = tmp_path / "cache"
    (cache / "distances").mkdir(parents=True)
    stored = shipped("logistic_regression", 12)
    names = {str(digit): ODD_GROUPS[digit % len(ODD_GROUPS)] for digit in range(10)}
    rows = stored.rows.assign(**{"class": stored.rows["class"].map(names)})
    table = store.write_table(rows, stored.key, stored.provenance)
    table.rename(cache / "distances" / table.name)
    with serve(ROOT, cache) as address:
        yield address


def test_the_heatmap_and_one_budget_show_them_as_text(odd, page):
    page.on("dialog", lambda dialog: pytest.fail(f"a name ran as a script: {dialog.message}"))
    query = "dataset=digits&model=logistic_regression"
    visit(page, f"{odd}/heatmap?{query}", "Models and epochs")
    cells = page.locator('[data-testid="stVegaLiteChart"] svg .mark-rect.role-mark path')
    expect(cells.first).to_be_attached()
    labels = [
        text.rstrip("…")
        for text in page.locator('[data-testid="stVegaLiteChart"] svg text').all_text_contents()
    ]
    for name in ODD_GROUPS:
        assert any(len(text) > 2 and name.startswith(text) for text in labels)
        assert page.locator(f'path[aria-label*="group: {name};"]').count() > 0
    page.locator('path[aria-label*="group: a|b;"][aria-label*="epoch: 12;"]').first.click(
        force=True
    )
    expect(page.get_by_text("a|b · logistic_regression, epoch 12, deepfool: sigma")).to_be_visible()
    page.get_by_role("link", name="Its images").click()
    expect(page.get_by_role("heading", name="Images at the boundary")).to_be_visible()
    settled(page)
    expect(picker(page, "Group")).to_have_value("a|b")
    expect_picked(page, {"Model": "logistic_regression", "Epoch": "12"})

    visit(page, f"{odd}/images?{query}&view=one+budget", "Images at the boundary")
    assert len(extents(page, "rect")) == len(ODD_GROUPS)
    for name in ODD_GROUPS:
        expect(page.get_by_text(name).first).to_be_visible()
