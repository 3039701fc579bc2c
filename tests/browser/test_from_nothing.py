"""A newcomer without any result: train, estimate, see curves, cancel a long job and use
the app meanwhile.
"""

import re

from playwright.sync_api import Page, expect

from tests.browser.serving import extents, picker, settled, visit


def fill(page: Page, label: str, value: str) -> None:
    field = page.get_by_role("spinbutton", name=label)
    field.fill(value)
    field.press("Tab")


def train(page: Page, epochs: str, seed: str) -> None:
    fill(page, "Epochs", epochs)
    fill(page, "Seed", seed)
    page.get_by_role("button", name="Train", exact=True).click()


def test_from_nothing_to_curves_and_a_cancelled_job(empty, page):
    visit(page, f"{empty}/compute?dataset=digits", "Compute")
    train(page, epochs="1", seed="0")
    ready = page.get_by_test_id("stAlert").filter(
        has_text=re.compile("run .* is ready, test accuracy")
    )
    expect(ready).to_be_visible(timeout=90_000)  # a first training on a busy machine
    run = picker(page, "Run").input_value()
    assert "1ep-seed0" in run
    fill(page, "Test images", "100")
    page.get_by_role("button", name="Estimate", exact=True).click()
    expect(
        page.get_by_test_id("stAlert").filter(has_text="distances of 100 images are ready")
    ).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Curves").click()
    expect(page.get_by_role("heading", name="Robustness curves", exact=True)).to_be_visible()
    settled(page)
    curves = extents(page, "line")
    assert len(curves) == 10 and all(width > 100 for width, _ in curves)
    assert len(extents(page, "symbol")) == 10

    page.get_by_role("link", name="Compute").click()
    train(page, epochs="1000", seed="1")
    expect(page.get_by_text("training epoch")).to_be_visible()
    other = visit(
        page.context.new_page(), f"{empty}/images?dataset=digits", "Images at the boundary"
    )
    expect(other.get_by_role("img", name="clean, perturbation magnified, perturbed")).to_have_count(
        12
    )
    other.close()
    expect(page.get_by_text("training epoch")).to_be_visible()
    expect(page.get_by_text("Training of the newest run")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Cancel").click()
    cancelled = page.get_by_test_id("stAlert").filter(has_text="Stopped on request")
    expect(cancelled).to_be_visible()
    assert page.get_by_role("button", name="Cancel").count() == 0
    expect(page.get_by_role("button", name="Start again")).to_be_enabled()
    expect(picker(page, "Run")).to_have_value(run)
