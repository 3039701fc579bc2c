import pytest
from playwright.sync_api import Page, expect

from benchmarks.serving import ROOT, serve
from tests.browser.serving import choose, expect_picked, settled, visit
from tests.pages.app import SHIPPED_RUN

QUERY = f"dataset=digits&model=logistic_regression&run={SHIPPED_RUN}&epoch=3&method=exact"
MENU = [
    "Start",
    "Lesson",
    "Method",
    "Curves",
    "Heatmap",
    "Images",
    "Epochs",
    "Agreement",
    "Mitigation",
    "Compute",
    "Your data and model",
]
PICKED = {
    "Dataset": "digits",
    "Model": "logistic_regression",
    "Run": SHIPPED_RUN,
    "Epoch": "3",
    "Distance method": "exact",
}


def expect_restored(page: Page) -> None:
    expect_picked(page, PICKED)
    expect(page.get_by_text("Logistic regression · epoch 3 of 12 · Exact")).to_be_visible()


def test_a_link_is_restored_by_a_server_that_has_served_nothing_yet(browser, page, tmp_path):
    with serve(ROOT, tmp_path / "cache") as address:
        visit(page, f"{address}/images?{QUERY}", "Images at the boundary")
        expect_restored(page)
        expect(
            page.get_by_role("img", name="clean, perturbation magnified, perturbed")
        ).to_have_count(12)
        expect(page.get_by_test_id("stSidebarNav").get_by_role("link")).to_have_text(MENU)


@pytest.mark.parametrize(
    ("path", "title"),
    [("", "Who is fooled first?"), ("curves", "Robustness curves"), ("compute", "Compute")],
)
def test_a_link_is_restored_by_a_warm_server(full, page, path, title):
    visit(page, f"{full}/{path}?{QUERY}", title)
    expect_picked(page, PICKED)


def test_a_link_to_another_dataset_and_partition_is_restored(full, page):
    visit(page, f"{full}/curves?dataset=utkface&by=race", "Robustness curves")
    expect_picked(page, {"Dataset": "utkface", "Partition": "race"})


def test_what_is_picked_is_in_the_address_and_survives_a_new_tab_reload_and_back(full, page):
    visit(page, f"{full}/curves?dataset=digits", "Robustness curves")
    choose(page, "Model", "logistic_regression")
    choose(page, "Distance method", "exact")
    choose(page, "Epoch", "3")
    picked = "dataset=digits&epoch=3&method=exact&model=logistic_regression"
    expect(page).to_have_url(f"{full}/curves?{picked}")

    page.get_by_role("link", name="Images").click()
    expect(page).to_have_url(f"{full}/images?{picked}")
    expect_restored(page)
    visit(page.context.new_page(), page.url, "Images at the boundary")
    expect_restored(page.context.pages[-1])

    page.reload(wait_until="domcontentloaded")
    expect_restored(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Robustness curves")).to_be_visible()
    expect_restored(page)


def test_the_address_forgets_what_left_the_offer(full, page):
    visit(page, f"{full}/curves?dataset=utkface&by=race", "Robustness curves")
    choose(page, "Dataset", "digits")
    expect(page).to_have_url(f"{full}/curves?dataset=digits")
    assert page.get_by_text("The link asks").count() == 0
    choose(page, "Dataset", "utkface")
    expect_picked(page, {"Partition": "class"})
    expect(page).to_have_url(f"{full}/curves?dataset=utkface")


def test_a_wrong_value_in_a_link_is_named(full, page):
    visit(page, f"{full}/curves?dataset=digits&model=nope&epoch=99", "Robustness curves")
    warnings = page.get_by_test_id("stSidebar").get_by_test_id("stAlert")
    expect(warnings).to_have_text(
        [
            "The link asks for model 'nope', which is not available here; showing 'small_cnn'.",
            "The link asks for epoch '99', which is not available here; showing '12'.",
        ]
    )
    settled(page)
    expect_picked(page, {"Model": "small_cnn", "Epoch": "12"})
