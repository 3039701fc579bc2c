import re

from playwright.sync_api import expect

from tests.browser.serving import choose, extents, picker, settled, visit
from tests.pages.app import shipped

TITLE = "Images at the boundary"
EXACT = "dataset=digits&model=logistic_regression&method=exact"


def test_an_image_is_looked_at_closer_and_walked_to_its_boundary(full, page):
    visit(page, f"{full}/images?{EXACT}", TITLE)
    buttons = page.get_by_role("button", name="Look closer")
    expect(buttons).to_have_count(12)
    buttons.nth(3).click()
    rows = shipped("logistic_regression", method="exact").rows
    row = rows[rows["distance"].notna()].sort_values(["distance", "sample_id"]).iloc[3]
    expect(page.get_by_role("textbox", name="Sample")).to_have_value(row["sample_id"])
    expect(page.get_by_role("heading", name=f"{row['prediction']} becomes")).to_be_visible()
    expect(page.get_by_text(f"at 0.0: L2 0, predicted {row['prediction']}")).to_be_visible()
    slider = page.get_by_role("slider", name="From the clean image")
    slider.press("End")
    expect(page.get_by_text(f"predicted {row['perturbed_prediction']}")).to_be_visible()
    assert len(extents(page, "rect")) == 10
    expect(page.get_by_role("img", name=f"{row['sample_id']} by deepfool")).to_be_visible()
    settled(page)
    page.reload(wait_until="domcontentloaded")
    expect(page.get_by_role("textbox", name="Sample")).to_have_value(row["sample_id"])
    expect(page.get_by_text(f"predicted {row['perturbed_prediction']}")).to_be_visible()


def test_filters_are_in_the_address_and_come_back_with_it(full, page):
    visit(page, f"{full}/images?{EXACT}&from=0.3&to=0.5", TITLE)
    choose(page, "Order", "most robust first")
    expect(page).to_have_url(
        f"{full}/images?dataset=digits&from=0.3&method=exact&model=logistic_regression"
        "&sort=most+robust+first&to=0.5"
    )
    rows = shipped("logistic_regression", method="exact").rows
    n = int(rows["distance"].between(0.3, 0.5).sum())
    expect(
        page.get_by_text(f"{n} of 360 test images fit and are shown, most robust first")
    ).to_be_visible()
    page.reload(wait_until="domcontentloaded")
    expect(
        page.get_by_text(f"{n} of 360 test images fit and are shown, most robust first")
    ).to_be_visible()
    expect(picker(page, "Order")).to_have_value("most robust first")


def test_one_budget_shows_each_group_with_its_bar_and_its_image(full, page):
    visit(page, f"{full}/images?{EXACT}&view=one+budget&tau=0.6", TITLE)
    expect(page.get_by_role("heading", name="Within 0.6 at least")).to_be_visible()
    bars = extents(page, "rect")
    assert len(bars) == 10 and all(width > 1 and height > 5 for width, height in bars)
    expect(page.get_by_text(re.compile(r"fooled \d: \S+ [≤>] 0\.6"))).to_have_count(10)
    expect(page.get_by_role("img", name="clean, perturbation magnified, perturbed")).to_have_count(
        10
    )
