import pytest
from playwright.sync_api import expect

from tests.browser.serving import extents, settled, visit

TITLE = "Through training"


def test_epochs_are_played_to_the_last(full, page):
    visit(page, f"{full}/epochs?dataset=digits&played=10", TITLE)
    assert len(extents(page, "line")) == 3 * 10
    expect(page.get_by_text("Epoch 10 of 12: accuracy")).to_be_visible()
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_text("Epoch 12 of 12: accuracy")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    settled(page)
    page.get_by_role("slider", name="Epoch shown").press("Home")
    expect(page.get_by_text("Epoch 1 of 12: accuracy")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "title"), [("epochs", TITLE), ("agreement", "Do the methods agree?")]
)
def test_nothing_trained_is_said_calmly(empty, page, path, title):
    visit(page, f"{empty}/{path}", title)
    expect(page.get_by_test_id("stAlert")).to_contain_text("No small_cnn is trained on Toy faces")
