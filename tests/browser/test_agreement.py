import pytest
from playwright.sync_api import expect

from rbcore import store
from tests.browser.serving import extents, visit
from tests.pages.app import shipped

TITLE = "Do the methods agree?"
ODD_GROUPS = ["<script>alert(1)</script>", "a|b", "😀 :smile:", "x" * 200, "مرحبا بكم"]


def test_both_methods_give_every_group_a_mark_and_lead_to_the_images(full, page):
    visit(page, f"{full}/agreement?dataset=digits&model=logistic_regression", TITLE)
    rows = shipped("logistic_regression", method="exact").rows
    n = int(rows["distance"].notna().sum())
    expect(page.get_by_role("heading", name="same sign in")).to_contain_text(f"the median of {n}")
    drawn = extents(page, "symbol")
    assert len(drawn) >= n + 10 and all(width > 2 for width, _ in drawn)
    link = page.get_by_role("link", name="digit-").first
    expect(link).to_be_visible()
    sample = link.inner_text().split(" ")[0]
    link.click()
    expect(page.get_by_role("heading", name="Images at the boundary")).to_be_visible()
    expect(page.get_by_role("textbox", name="Sample")).to_have_value(sample)
    expect(page.get_by_text(f"{sample} · digit")).to_be_visible()
    expect(page.get_by_text("Logistic regression · epoch 12 of 12")).to_be_visible()


def test_odd_names_of_groups_stay_text(full, full_cache, page):
    for method in ("deepfool", "exact"):
        stored = shipped("logistic_regression", 3, method)
        names = {str(digit): ODD_GROUPS[digit % len(ODD_GROUPS)] for digit in range(10)}
        rows = stored.rows.assign(**{"class": stored.rows["class"].map(names)})
        table = store.write_table(rows, stored.key, stored.provenance)
        (full_cache / "distances").mkdir(parents=True, exist_ok=True)
        table.rename(full_cache / "distances" / table.name)
    page.on("dialog", lambda dialog: pytest.fail(f"a name ran as a script: {dialog.message}"))
    visit(page, f"{full}/agreement?dataset=digits&model=logistic_regression&epoch=3", TITLE)
    assert extents(page, "symbol")
    legend = page.locator(
        '[data-testid="stVegaLiteChart"] svg .role-legend-label text'
    ).all_text_contents()
    shown = {text.rstrip("…") for text in legend}
    assert all(any(name.startswith(text) for text in shown if text) for name in ODD_GROUPS)
    visit(
        page, f"{full}/epochs?dataset=digits&model=logistic_regression&played=3", "Through training"
    )
    assert extents(page, "line")
