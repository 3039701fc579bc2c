import pytest
from playwright.sync_api import expect

from rbcore import store
from tests.browser.serving import choose, extents, picker, settled, visit
from tests.pages.app import shipped

TITLES = {
    "/curves": "Robustness curves",
    "/heatmap": "Models and epochs",
    "/images": "Images at the boundary",
    "/compute": "Compute",
}
ODD_GROUPS = [
    "<script>alert(1)</script>",
    "a|b",
    "😀 :smile:",
    "*x* _y_ $z$ `q`",
    "[a](http://example.org)",
]


@pytest.mark.parametrize("path", TITLES)
def test_each_page_shows_what_it_is_for(full, page, path):
    visit(page, full + path, TITLES[path])
    if path == "/curves":
        expect(page.get_by_role("slider", name="Attack budget tau")).to_be_visible()
        expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    elif path == "/heatmap":
        assert len(extents(page, "rect")) == 2 * 3 * 2
    elif path == "/images":
        expect(
            page.get_by_role("img", name="clean, perturbation magnified, perturbed")
        ).to_have_count(12)
    else:
        expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()
        expect(page.get_by_role("button", name="Estimate", exact=True)).to_be_enabled()
    assert page.get_by_test_id("stAlert").count() == 0


@pytest.mark.parametrize("path", TITLES)
def test_each_page_is_calm_where_nothing_is_trained(empty, page, path):
    visit(page, empty + path, TITLES[path])
    if path == "/compute":
        expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()
        expect(page.get_by_role("button", name="Estimate", exact=True)).to_be_disabled()
        return
    what = "model" if path == "/heatmap" else "small_cnn"
    expect(page.get_by_test_id("stAlert")).to_have_text(
        f"No {what} is trained on Toy faces (synthetic, bias of strength 0.6) yet."
    )
    page.get_by_role("link", name="Train one on the Compute page").click()
    expect(page.get_by_role("heading", name="Compute", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()


def test_the_curves_find_what_was_planted_and_say_that_it_is_synthetic(full, page):
    visit(page, f"{full}/curves", TITLES["/curves"])
    sentence = page.get_by_role("heading", name="dim is the least robust group")
    expect(sentence).to_contain_text("interval")
    assert page.get_by_text("n = all 1,600 test images").count() == 1
    assert page.get_by_text("Synthetic: drawn by code, no person behind them").count() == 1
    for marks in ("line", "symbol"):
        assert len(extents(page, marks)) == 2


def test_the_curves_say_and_draw_each_group(full, page):
    visit(page, f"{full}/curves?dataset=digits", TITLES["/curves"])
    sentence = page.get_by_role("heading", name="robust").filter(has_text="interval")
    assert sentence.count() == 1
    assert page.get_by_text("n = all 360 test images").count() == 1
    curves = extents(page, "line")
    assert len(curves) == 10 and all(width > 100 and height > 100 for width, height in curves)
    dots = extents(page, "symbol")
    assert len(dots) == 10 and all(width > 5 for width, _ in dots)


def test_names_of_groups_are_shown_as_they_are(full, full_cache, page):
    stored = shipped("logistic_regression", 2)
    names = {str(digit): ODD_GROUPS[digit % len(ODD_GROUPS)] for digit in range(10)}
    rows = stored.rows.assign(**{"class": stored.rows["class"].map(names)})
    table = store.write_table(rows, stored.key, stored.provenance)
    (full_cache / "distances").mkdir(parents=True, exist_ok=True)
    table.rename(full_cache / "distances" / table.name)
    page.on("dialog", lambda dialog: pytest.fail(f"a name ran as a script: {dialog.message}"))
    visit(
        page, f"{full}/curves?dataset=digits&model=logistic_regression&epoch=2", TITLES["/curves"]
    )
    expect(page.get_by_role("heading").filter(has_text="interval")).to_contain_text("robust")
    assert len(extents(page, "line")) == len(ODD_GROUPS)
    legend = page.locator(
        '[data-testid="stVegaLiteChart"] svg .role-legend-label text'
    ).all_text_contents()
    for name in ODD_GROUPS:
        assert any(text.startswith(f"{name} (n = ") for text in legend)
        choose(page, "Highlight", name)
    page.get_by_role("link", name="Images").click()
    for name in ODD_GROUPS:
        choose(page, "Group", name)
        expect(page.get_by_text(f"digit {name} · change magnified").first).to_be_visible()


def test_missing_distances_are_computed_from_the_page_that_lacks_them(full, page):
    visit(
        page,
        f"{full}/images?dataset=digits&model=logistic_regression&epoch=1&method=deepfool:paper",
        TITLES["/images"],
    )
    expect(page.get_by_test_id("stAlert")).to_contain_text("not computed yet")
    page.get_by_role("button", name="Compute them now").click()
    expect(page.get_by_role("img", name="clean, perturbation magnified, perturbed")).to_have_count(
        12
    )
    page.get_by_role("link", name="Curves").click()
    assert len(extents(page, "line")) == 10
    expect(picker(page, "Distance method")).to_have_value("deepfool:paper")


def test_a_narrow_screen_shows_the_images_in_order(full, page):
    page.set_viewport_size({"width": 400, "height": 900})
    visit(
        page,
        f"{full}/images?dataset=digits&model=logistic_regression&method=exact",
        TITLES["/images"],
    )
    texts = page.get_by_text("· distance")
    expect(texts).to_have_count(12)
    from_top = sorted(texts.all(), key=lambda text: text.bounding_box()["y"])
    distances = [float(text.inner_text().rsplit(" ", 1)[1]) for text in from_top]
    assert distances == sorted(distances)


def test_the_heatmap_has_a_cell_for_each_model_epoch_and_group(full, page):
    visit(page, f"{full}/heatmap?dataset=digits", TITLES["/heatmap"])
    cells = extents(page, "rect")
    assert len(cells) == 2 * 3 * 10 and all(width > 10 and height > 10 for width, height in cells)
    expect(page.get_by_role("heading").filter(has_text="At the last epoch")).to_be_visible()


def test_the_heatmap_computes_what_is_missing(full, page):
    visit(page, f"{full}/heatmap?dataset=digits&method=deepfool:paper", TITLES["/heatmap"])
    page.get_by_role("button", name="Compute the", exact=False).click()
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel.first).to_be_visible()
    expect(cancel).to_have_count(0, timeout=120_000)
    settled(page)
    assert len(extents(page, "rect")) == 60
