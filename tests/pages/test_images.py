import re

import rbcore as rb
from tests.pages.app import open_page, said, shipped

PER_PAGE = 12
EXACT = {"model": "logistic_regression", "method": "exact"}


def shown_samples(app) -> list[str]:
    return [text.split(" ")[0] for text in said(app.caption) if re.match(r"digit-\d+ ", text)]


def shown_distances(app) -> list[float]:
    return [float(text.split("distance **")[1].rstrip("*")) for text in said(app.markdown) if "distance **" in text]


def least_robust_first(rows):
    return rows[rows["distance"].notna()].sort_values(["distance", "sample_id"])


def test_samples_come_least_robust_first_and_page_by_page():
    ordered = least_robust_first(shipped(**EXACT).rows)
    app = open_page("images", **EXACT)
    assert shown_samples(app) == list(ordered["sample_id"][:PER_PAGE])
    assert shown_distances(app) == [float(f"{distance:.3g}") for distance in ordered["distance"][:PER_PAGE]]
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
    rb.estimate_distances(rb.load_model("small_cnn", digits()), digits(), "smoothing", limit=20, n=50)
    app = open_page("images", method="smoothing n=50")
    assert not app.exception and not app.get("image")
    assert any("no changed image to show" in text for text in said(app.info))


def digits():
    return rb.load_dataset("digits")
