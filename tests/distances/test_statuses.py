import pandas as pd

from rbcore.distances.smoothing.certify import ceiling
from rbcore.distances.statuses import statuses_in_words


def rows(**counts):
    statuses = [status for status, count in counts.items() for _ in range(count)]
    table = pd.DataFrame({"status": statuses, "distance": 0.1})
    return table.assign(is_correct=table["status"] != "misclassified")


def test_every_outcome_that_occurs_is_counted():
    text = statuses_in_words(rows(found=3, fallback=1, failed=2, misclassified=4), "minimal")
    assert text == (
        "Of 10 images: 4 misclassified without any attack, 2 without a distance, 1 by the "
        "fallback, a walk to the nearest image of another class."
    )
    assert statuses_in_words(rows(found=3), "minimal") == "Of 3 images: all have a distance."


def test_radii_at_the_ceiling_are_counted_and_the_ceiling_said():
    table = rows(certified=3, abstained=1, overruled=1)
    most = ceiling(0.125, 1000, 0.001)
    table.loc[:1, "distance"] = most
    text = statuses_in_words(table, "smoothing")
    assert (
        "3 certified, 2 of them at the ceiling of 0.308 (L2)" in text
        and "1 abstained" in text
        and "overruled" not in text
    )
    assert "1 for which the smoothed classifier says another class" in text
    assert abs(most - 0.3079) < 1e-4
