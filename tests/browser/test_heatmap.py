"""The heatmap, as a visitor uses it: click a cell and go on to its curves and images; sheets;
a narrow screen.
"""

from playwright.sync_api import expect

from tests.browser.serving import choose, expect_picked, extents, picker, settled, visit

TITLE = "Models and epochs"


def test_a_click_on_a_cell_leads_to_its_curves_and_images(full, page):
    visit(page, f"{full}/heatmap?dataset=digits&order=sigma", TITLE)
    cells = page.locator('[data-testid="stVegaLiteChart"] svg .mark-rect.role-mark path')
    expect(cells).to_have_count(60)
    page.locator(
        'path[aria-label*="model: logistic_regression"][aria-label*="group: '
        '4;"][aria-label*="epoch: 6;"]'
    ).first.click(force=True)
    expect_picked(page, {"Model": "logistic_regression", "Epoch": "6"})
    said = page.get_by_text("digit 4 · logistic_regression, epoch 6, deepfool: sigma")
    expect(said).to_contain_text("n = 36")
    page.get_by_role("link", name="Its curves").click()
    expect(page.get_by_role("heading", name="Robustness curves", exact=True)).to_be_visible()
    settled(page)
    expect(picker(page, "Highlight")).to_have_value("4")
    expect_picked(page, {"Model": "logistic_regression", "Epoch": "6"})


def test_all_partitions_fit_in_one_sheet_that_scrolls_by_itself_on_a_narrow_screen(full, page):
    page.set_viewport_size({"width": 400, "height": 900})
    visit(page, f"{full}/heatmap?dataset=digits", TITLE)
    choose(page, "Side by side", "methods and epochs")
    # ten digits at three epochs by deepfool and minimal for two models, by exact for one; by
    # smoothing for one at its last
    expect(
        page.locator('[data-testid="stVegaLiteChart"] svg .mark-rect.role-mark path')
    ).to_have_count(160)
    assert all(width > 10 and height > 10 for width, height in extents(page, "rect"))
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth <= main.clientWidth")
