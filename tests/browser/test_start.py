"""The pages a newcomer meets: the toy that is dragged, the lesson, the method, and what
they can bring.
"""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.serving import settled, visit
from tests.pages.test_own_data import ODD, write_images

START, LESSON = "Who is fooled first?", "A lesson in five steps"


def shares(page: Page) -> dict[str, int]:
    """Return how many points of each group the bars count, by the words beside them."""
    texts = page.locator('[data-testid="stVegaLiteChart"] svg text').all_text_contents()
    names = [text for text in texts if text in ("blue", "brown", "green", "round", "cross")]
    counts = [
        int(match[1]) for text in texts if (match := re.fullmatch(r"\d+% \((\d+) of \d+\)", text))
    ]
    return dict(zip(names, counts, strict=True))


def test_dragging_tau_moves_the_bars_without_the_server(full, page):
    visit(page, full, START)
    slider = page.locator('.vega-bindings input[type="range"]')
    expect(slider).to_be_visible()
    before = shares(page)
    page.context.set_offline(True)
    slider.focus()
    slider.press("End")
    expect(page.get_by_text("0% (0 of 150)").first).to_be_attached()
    after = shares(page)
    assert after["brown"] == 0 < after["blue"] < before["blue"] and before["brown"] < before["blue"]
    slider.press("Home")
    expect(page.get_by_text("98% (147 of 150)").first).to_be_attached()
    page.context.set_offline(False)


def test_switching_the_classifier_changes_the_bars_and_a_link_leads_to_the_curves(full, page):
    visit(page, full, START)
    page.get_by_role("radio", name="Two classifiers").click()
    first = page.locator(".vega-bindings").get_by_role("radio", name="A", exact=True)
    expect(first).to_be_checked()
    before = shares(page)
    page.locator(".vega-bindings").get_by_role("radio", name="B", exact=True).check()
    expect(page.get_by_text(re.compile(r"\(\d+ of 40\)")).first).to_be_attached()
    after = shares(page)
    assert (
        before["round"] < before["cross"]
        and abs(after["round"] - after["cross"]) < before["cross"] - before["round"]
    )
    page.get_by_role("link", name="The curves behind this").click()
    expect(page.get_by_role("heading", name="Robustness curves", exact=True)).to_be_visible()


def test_the_lesson_goes_on_by_a_click_and_its_step_and_guess_are_in_the_link(full, page):
    visit(page, f"{full}/lesson", LESSON)
    page.get_by_text("Faces in dim light").click()
    expect(page).to_have_url(re.compile("guess=dim"))
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="How much must be changed?")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("A face in (dim|bright) light"))).to_have_count(
        6, timeout=90_000
    )
    for title in (
        "By how much do the groups differ?",
        "Could it be chance?",
        "Can training reduce it?",
    ):
        page.get_by_role("button", name="Next").click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        settled(page)
        assert page.get_by_text("planted").count() == 0
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("That is right.")).to_be_visible()
    page.reload(wait_until="domcontentloaded")
    expect(page.get_by_text("That is right.")).to_be_visible()


def test_a_folder_with_odd_names_is_checked_and_named_as_it_is(full, page, tmp_path: Path):
    folder = write_images(tmp_path / "mine")
    page.on("dialog", lambda dialog: dialog.dismiss())
    visit(page, f"{full}/own_data", "Your data and model")
    field = page.get_by_role("textbox", name="Folder, on the machine the app runs on")
    field.fill(str(folder))
    page.get_by_role("button", name="Check", exact=True).click()
    alert = page.get_by_test_id("stAlert").filter(has_text="24 images can be used")
    expect(alert).to_be_visible()
    for name in ODD:
        expect(alert).to_contain_text(name)


def test_where_nothing_is_trained_these_pages_are_calm(empty, page):
    visit(page, empty, START)
    expect(page.get_by_text("Nothing is measured yet for")).to_be_visible()
    expect(page.locator('.vega-bindings input[type="range"]')).to_be_visible()
    assert shares(page)["brown"] > 0
    visit(page, f"{empty}/lesson", LESSON)
    expect(page.get_by_test_id("stAlert")).to_contain_text("No small_cnn is trained on Toy faces")
    visit(page, f"{empty}/method", "Method")
    expect(page.get_by_role("heading", name="Distance methods")).to_be_visible()
