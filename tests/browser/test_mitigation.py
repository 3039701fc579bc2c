from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

import rbcore as rb
from benchmarks.serving import ROOT, serve
from rbcore.runs.checkpoints import find_run
from rbcore.training.mitigations import AdversarialTraining, Regularizer, Reweighting
from rbcore.training.train import train
from tests.browser.serving import expect_picked, picker, settled, visit

MODEL = "logistic_regression"


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app with a linear model of the digits, plain, attacked in training, and with
    more weight on the eights.
    """
    cache = tmp_path_factory.mktemp("mitigated") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RBCORE_CACHE", str(cache))
        digits = rb.load_dataset("digits")
        mitigations = (Reweighting("class", "8", 0.5), AdversarialTraining(0.25, steps=1))
        for mitigation in mitigations:
            name = train(MODEL, digits, mitigation=mitigation, keep="1").name
            rb.estimate_distances(rb.load_model(MODEL, digits, run=name), digits, "exact")
        train(MODEL, digits, mitigation=Regularizer("class", "8", alpha=0.3), keep="1", run="term")
    with serve(ROOT, cache) as served:
        yield served


def link(address: str, **query: str) -> str:
    plain = find_run("digits", MODEL).name
    asked = {"dataset": "digits", "model": MODEL, "method": "exact", "run": plain, **query}
    return f"{address}/mitigation?" + "&".join(
        f"{key}={value.replace('+', '%2B')}" for key, value in asked.items()
    )


def test_the_page_answers_what_changed_and_a_click_compares_another_run(address, page):
    plain = find_run("digits", MODEL).name
    weighted, attacked = f"{plain}+weight-class=8-s0.5", f"{plain}+adversarial-e0.25-steps1"
    visit(page, link(address, mitigated=weighted), "Mitigation")
    expect_picked(page, {"Mitigated run": weighted, "Protected group": "8"})
    sentence = page.get_by_role("heading", name="sigma of 8 went from")
    expect(sentence).to_contain_text("95% interval")
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(4)
    for chart in page.get_by_test_id("stVegaLiteChart").all()[
        :2
    ]:  # plain and mitigated: the group and the rest
        chart.scroll_into_view_if_needed()
        expect(chart.locator("svg .mark-line.role-mark path")).to_have_count(2)
    said = sentence.inner_text()
    marks = page.get_by_test_id("stVegaLiteChart").last.locator("svg .mark-symbol.role-mark path")
    marks.nth(2).click(force=True)
    expect(picker(page, "Mitigated run")).to_have_value(attacked)
    expect(sentence).not_to_have_text(said)
    assert "adversarial" in page.url


def test_missing_distances_are_computed_from_the_page(address, page):
    visit(page, link(address, mitigated="term"), "Mitigation")
    expect(
        page.get_by_test_id("stAlert").filter(has_text="not computed yet for: term.")
    ).to_be_visible()
    page.get_by_role("button", name="Compute the 1 missing").click()
    expect(page.get_by_role("heading", name="sigma of 8 went from")).to_be_visible(timeout=120_000)
    settled(page)
    assert page.get_by_test_id("stAlert").count() == 0


def test_a_narrow_screen_holds_the_page(address, page):
    page.set_viewport_size({"width": 400, "height": 900})
    visit(page, link(address), "Mitigation")
    expect(page.get_by_role("heading", name="What it cost")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_plain_run_alone_says_how_to_train_a_mitigated_one(address, page):
    visit(page, f"{address}/mitigation?dataset=digits&model=small_cnn", "Mitigation")
    expect(page.get_by_test_id("stAlert")).to_contain_text("there is no mitigated one")
    expect(page.get_by_test_id("stCode")).to_contain_text("--regularize")
