import re

import pytest

import rbcore as rb
from tests.pages.app import open_page, plotted, said, shipped

PER_PAGE = 12
EXACT = {"model": "logistic_regression", "method": "exact"}


def shown_samples(app) -> list[str]:
    return [text.split(" ")[0] for text in said(app.caption) if re.match(r"digit-\d+ ", text)]


def shown_distances(app) -> list[float]:
    return [
        float(text.split("distance **")[1].rstrip("*"))
        for text in said(app.markdown)
        if "distance **" in text
    ]


def least_robust_first(rows):
    return rows[rows["distance"].notna()].sort_values(["distance", "sample_id"])


def test_samples_come_least_robust_first_and_page_by_page():
    ordered = least_robust_first(shipped(**EXACT).rows)
    app = open_page("images", **EXACT)
    assert shown_samples(app) == list(ordered["sample_id"][:PER_PAGE])
    assert shown_distances(app) == [
        float(f"{distance:.3g}") for distance in ordered["distance"][:PER_PAGE]
    ]
    app.number_input(key="page").set_value(2).run()
    assert shown_samples(app) == list(ordered["sample_id"][PER_PAGE : 2 * PER_PAGE])


def test_a_group_shows_its_own_samples_from_the_first_page_on():
    rows = shipped(**EXACT).rows
    app = open_page("images", **EXACT)
    app.number_input(key="page").set_value(app.number_input(key="page").max).run()
    app.selectbox(key="group").select("8").run()
    own = least_robust_first(rows[rows["class"] == "8"])
    assert shown_samples(app) == list(own["sample_id"][:PER_PAGE])
    (caption,) = [text for text in said(app.caption) if "least robust first" in text]
    assert caption.startswith(f"{len(own)} of {(rows['class'] == '8').sum()} test images")


def test_each_image_names_what_the_model_says_before_and_after():
    first = least_robust_first(shipped().rows).iloc[0]
    app = open_page("images")
    (text,) = [text for text in said(app.markdown) if "distance **" in text][:1]
    before, after = re.findall(r"\*\*(\d)\*\* \(\d+%\)", text)
    assert (int(before), int(after)) == (first["prediction"], first["perturbed_prediction"])
    assert len(app.get("image")) == PER_PAGE


def test_a_certificate_has_no_changed_image_and_the_page_says_so():
    rb.estimate_distances(
        rb.load_model("small_cnn", digits()), digits(), "smoothing", limit=20, n=50
    )
    app = open_page("images", method="smoothing n=50")
    assert not app.exception and not app.get("image")
    assert any("no changed image to show" in text for text in said(app.info))


def test_images_can_be_filtered_from_the_address():
    rows = shipped().rows
    app = open_page(
        "images",
        **{"from": "0.2", "to": "0.4", "true": "9", "into": "5", "sort": "most robust first"},
    )
    known = rows[
        rows["distance"].between(0.2, 0.4)
        & (rows["class"] == "9")
        & (rows["perturbed_prediction"] == 5)
    ]
    assert len(known) and not app.warning
    assert shown_samples(app) == list(known.sort_values("distance", ascending=False)["sample_id"])


def test_misclassified_images_are_shown_as_they_are():
    rows = shipped().rows
    app = open_page("images", status="misclassified", sort="by sample id")
    assert shown_samples(app) == sorted(rows.loc[~rows["is_correct"], "sample_id"])
    assert all(
        "misclassified without any attack" in text
        for text in said(app.markdown)
        if "true class" in text
    )


def test_another_filter_starts_again_on_the_first_page():
    app = open_page("images", page="2")
    assert shown_samples(app) == list(
        least_robust_first(shipped().rows)["sample_id"][PER_PAGE : 2 * PER_PAGE]
    )
    app.selectbox(key="per_page").select("24").run()
    assert shown_samples(app) == list(least_robust_first(shipped().rows)["sample_id"][:24])


def test_what_a_link_cannot_ask_for_is_said():
    app = open_page("images", **{"from": "abc", "page": "999"})
    assert any("asks for from 'abc'" in text for text in said(app.warning))
    assert any("asks for page '999'" in text for text in said(app.warning))
    assert shown_samples(app) == list(least_robust_first(shipped().rows)["sample_id"][:PER_PAGE])
    wrong = open_page("images", sample="<b>nobody</b>")
    assert (
        any("has the id '<b>nobody</b>'" in text for text in said(wrong.warning))
        and not wrong.exception
    )


def test_the_page_counts_what_rounding_leaves():
    app = open_page("images", **EXACT)
    in_cards = [re.search(r"rounded to 8 bits: (\w+) (\d)", text) for text in said(app.caption)]
    n_still = sum(found is not None and found[1] in ("still", "then") for found in in_cards)
    assert any(
        f"{n_still} of the {PER_PAGE} changed images shown" in text for text in said(app.caption)
    )


def test_one_image_from_all_sides():
    row = least_robust_first(shipped(**EXACT).rows).iloc[40]
    app = open_page("images", sample=row["sample_id"], **EXACT)
    assert app.session_state["view"] == "one image"
    heading = (
        f"{row['prediction']} becomes {row['perturbed_prediction']} within L2 {row['distance']:.3g}"
    )
    assert any(heading in text for text in said(app.markdown))
    at = plotted(app, 0).set_index("class")["probability"]
    assert at.idxmax() == str(row["prediction"]) and at.sum() == pytest.approx(1)
    app.slider(key="walk").set_value(1.2).run()
    assert plotted(app, 0).set_index("class")["probability"].idxmax() == str(
        row["perturbed_prediction"]
    )
    deepfool = (
        shipped("logistic_regression").rows.set_index("sample_id").loc[row["sample_id"], "distance"]
    )
    for distance in (row["distance"], deepfool):
        assert any(text.startswith(f"**{distance:.3g}** →") for text in said(app.markdown))


def test_looking_closer_leads_to_the_image():
    first = least_robust_first(shipped().rows)["sample_id"].iloc[1]
    app = open_page("images")
    app.button(key=f"closer {first}").click().run()
    assert app.text_input(key="sample").value == first
    assert any(text.startswith(f"{first} ·") for text in said(app.caption))


def test_one_budget_for_every_group():
    rows, tau = shipped().rows, 0.5
    app = open_page("images", view="one budget", tau=str(tau))
    drawn = plotted(app, 0).set_index("group")
    correct = rows[rows["is_correct"]]
    expected = (correct["distance"] <= tau).groupby(correct["class"]).mean()
    assert len(drawn) == 10 and all(
        drawn.loc[group, "share"] == pytest.approx(expected[group]) for group in drawn.index
    )
    badges = [text for text in said(app.markdown) if "badge" in text]
    assert len(badges) == 10
    for text, (group, own) in zip(badges, correct.groupby("class"), strict=True):
        middle = own["distance"].sort_values().iloc[(len(own) - 1) // 2]
        assert f"{group}: {middle:.3g}" in text and ("not fooled" in text) == (middle > tau)


def digits():
    return rb.load_dataset("digits")


def test_a_page_that_no_computer_can_count_is_said_and_the_first_is_shown():
    app = open_page("images", page="1e999")
    assert not app.exception and any("1e999" in text for text in said(app.warning))
    assert [card for card in said(app.markdown) if "distance" in card]
