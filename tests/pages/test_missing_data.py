import pytest

import rbcore as rb
from rbcore.runs.checkpoints import find_run
from tests.pages.app import button, open_page, said, wait_for_jobs

MORE = "Measure at least 60 images of each group"


@pytest.mark.slow
def test_more_images_of_small_groups_are_offered_and_measured(cache):
    digits = rb.load_dataset("digits")
    rb.estimate_distances(
        rb.load_model("logistic_regression", digits), digits, "deepfool:paper", limit=100
    )
    app = open_page("curves", model="logistic_regression", method="deepfool:paper")
    assert any(
        "but are too few to test" in text or "but is too few to test" in text
        for text in said(app.markdown)
    )
    wait_for_jobs(button(app, MORE).click().run())
    stored = rb.stored_distances(
        find_run("digits", "logistic_regression"), "last", "deepfool:paper"
    )
    assert stored.rows["class"].value_counts().min() >= 30  # all there are of every digit
    app.run()
    assert not any("too few to test" in text for text in said(app.markdown))
