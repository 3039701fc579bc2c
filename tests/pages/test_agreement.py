import numpy as np
import pytest

import rbcore as rb
from tests.pages.app import button, open_page, plotted, said, shipped, wait_for_jobs

MODEL = "logistic_regression"


def test_two_methods_are_compared_image_by_image():
    first, second = shipped(MODEL).rows, shipped(MODEL, method="exact").rows
    app = open_page("agreement", model=MODEL)
    assert (
        app.selectbox(key="first").value == "deepfool"
        and app.selectbox(key="second").value == "exact"
    )
    both = first.merge(second, on="sample_id").dropna(subset=["distance_x", "distance_y"])
    drawn = plotted(app, 0).set_index("sample_id")
    assert len(drawn) == len(both)
    np.testing.assert_allclose(drawn.loc[both["sample_id"], "second"], both["distance_y"])
    ratio = np.median(both["distance_y"] / both["distance_x"])
    assert any(
        f"exact gives {ratio:.3g} times the distance of deepfool" in text
        for text in said(app.markdown)
    )
    assert any(text.startswith(f"{len(both)} images.") for text in said(app.caption))


def test_signs_are_counted_by_partition():
    app = open_page("agreement", model=MODEL)
    sigmas = [
        rb.robustness_bias(shipped(MODEL, method=method).rows, "class")["sigma"]
        for method in ("deepfool", "exact")
    ]
    (table, *_) = [frame.value for frame in app.dataframe]
    n_same = int((np.sign(sigmas[0]) == np.sign(sigmas[1])).sum())
    assert list(table["partition"]) == ["class"] and table["same"].iat[0] == f"{n_same} of 10"
    assert any(f"same sign in {n_same} of 10 groups [" in text for text in said(app.markdown))
    drawn = plotted(app, 1).set_index("group")
    assert all(
        drawn.loc[str(digit), "sigma_second"] == pytest.approx(sigmas[1][digit])
        for digit in range(10)
    )


def test_one_method_alone_offers_another():
    app = open_page("agreement", epoch="2")
    assert any("only DeepFool is computed" in text for text in said(app.info))
    button(app, "Compute Minimal now").click().run()
    assert not app.info
    wait_for_jobs(button(app, "Cancel").click().run())


def test_a_certificate_is_drawn_beside_the_attack_with_the_words_on_f_and_g():
    data = rb.load_dataset("digits")
    model = rb.load_model(MODEL, data, epoch=2)
    radii = rb.estimate_distances(model, data, "smoothing", limit=12, n0=10, n=50)
    app = open_page("agreement", model=MODEL, epoch="2")
    attack = shipped(MODEL, 2).rows.set_index("sample_id")["distance"]
    radii = radii.assign(upper=radii["sample_id"].map(attack)).dropna(subset=["distance", "upper"])
    n_inside = int((radii["upper"] < radii["distance"]).sum())
    assert any(
        f"For {n_inside} of {len(radii)} images an attack on f" in text
        for text in said(app.markdown)
    )
    assert any(
        "do not bracket one number" in text and "smoothing_attack would" in text
        for text in said(app.caption)
    )
    rb.estimate_distances(model, data, "smoothing_attack", limit=6, n0=10, n=50, draws=4, steps=4)
    app = open_page("agreement", model=MODEL, epoch="2")
    assert any("both concern g" in text for text in said(app.caption))
    assert set(plotted(app, 2)["what"]) == {
        "certified radius of g",
        "attack: upper bound of f",
        "attack: upper bound of g",
    }
