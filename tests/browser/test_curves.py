"""Curves, as a visitor uses them: click a curve or the legend, drag over tau, look at all
models and methods.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from rbcore import store
from tests.browser.serving import choose, extents, picker, settled, visit
from tests.pages.app import shipped

TITLE = "Robustness curves"
CHART = '[data-testid="stVegaLiteChart"] svg'


def click_curve(page: Page, number: int) -> None:
    """Click a curve in its middle, where it lies on the screen."""
    x, y = (
        page.locator(f"{CHART} .mark-trail.role-mark path")
        .nth(number)
        .evaluate(
            "path => { const box = path.getBBox(); const at = new "
            "DOMPoint(path.getPointAtLength(2).x, path.getPointAtLength(2).y); const on = "
            "at.matrixTransform(path.getScreenCTM()); return [on.x, on.y]; }"
        )
    )
    page.mouse.click(x + 1, y)


def test_a_click_highlights_and_a_brush_leads_to_exactly_those_images(full, page):
    visit(page, f"{full}/curves?dataset=digits", TITLE)
    assert len(extents(page, "line")) == 10
    assert page.locator(f"{CHART} .mark-rule.role-mark line").count() > 50  # the mean is dotted
    page.locator(f"{CHART} .role-legend-label text").filter(has_text="3 (n = 37)").click()
    expect(picker(page, "Highlight")).to_have_value("3")
    settled(page)
    click_curve(page, 9)  # the last is on top of all others
    expect(picker(page, "Highlight")).to_have_value("9")
    settled(page)

    box = page.locator(CHART).first.bounding_box()
    y = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + 0.2 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.35 * box["width"], y, steps=4)
    page.mouse.up()
    between = page.get_by_text(re.compile(r"Between tau = "))
    expect(between).to_be_visible()
    low, high = (float(end) for end in re.findall(r"[\d.]*\d", between.inner_text())[:2])
    rows = shipped().rows
    inside = rows["distance"].between(low, high)
    own = rows["class"] == "9"
    expect(
        page.get_by_role(
            "button", name=f"{(inside & own).sum()} of {own.sum()} test images of digit 9"
        )
    ).to_be_visible()
    page.get_by_role("button", name=f"{inside.sum()} of 360 test images of all groups").click()
    expect(page.get_by_text(f"{inside.sum()} of 360 test images fit and are shown")).to_be_visible()
    expect(picker(page, "Group")).to_have_value("all groups")


@pytest.mark.parametrize(
    ("figure", "n_lines"), [("RB(P, tau)", 10), ("all models and methods", 60)]
)
def test_every_figure_draws_every_group(full, page, figure, n_lines):
    visit(page, f"{full}/curves?dataset=digits", TITLE)
    choose(page, "Show", figure)
    expect(page.locator(f"{CHART} .mark-line.role-mark path")).to_have_count(n_lines)
    marks = '[data-testid="stVegaLiteChart"] svg .mark-symbol.role-mark path'
    expect(page.locator(marks)).to_have_count(10)  # the intervals below, which are drawn last
    assert all(width > 100 and height > 20 for width, height in extents(page, "line"))


def test_a_hundred_groups_stay_readable_on_a_narrow_screen(full, full_cache, page):
    stored = shipped("logistic_regression", 4)
    rows = stored.rows.assign(**{"class": [f"kind {i % 100:02d}" for i in range(len(stored.rows))]})
    table = store.write_table(rows, stored.key, stored.provenance)
    (full_cache / "distances").mkdir(parents=True, exist_ok=True)
    table.rename(full_cache / "distances" / table.name)
    page.set_viewport_size({"width": 400, "height": 900})
    visit(page, f"{full}/curves?dataset=digits&model=logistic_regression&epoch=4", TITLE)
    page.get_by_test_id("stVegaLiteChart").first.scroll_into_view_if_needed()
    drawn = [width > 20 and height > 20 for width, height in extents(page, "line")]
    assert len(drawn) >= 100 and all(drawn)
    assert len(extents(page, "symbol")) == 100
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth <= main.clientWidth")
