"""Tables that the tests of inference share."""

import numpy as np
import pandas as pd

import rbcore as rb
from rbcore.runs.checkpoints import find_run
from tests.measures.test_robustness import NAN, table


def joined(*tables):
    """Tables of different images as one: each row gets a name of its own."""
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(sample_id=[f"s{i}" for i in range(len(rows))])


def two_groups(n, seed=0):
    random = np.random.default_rng(seed)
    return table(random.exponential(size=2 * n), ["a"] * n + ["b"] * n)


def many_groups(sizes, seed=0, accuracy=0.8):
    """Groups g0, g1, ... with exponential distances, g0 half as far as the others, and
    misclassified samples.
    """
    random = np.random.default_rng(seed)
    names = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    distance = random.exponential(size=len(names)) * np.where(names == "g0", 0.5, 1.0)
    rows = table(np.where(random.random(len(names)) < accuracy, distance, NAN), names)
    return rows.assign(
        side=random.choice(["left", "right"], len(names)),
        **{"class": random.choice(["x", "y"], len(names))},
    )


def toyfaces(method="deepfool", model="small_cnn") -> pd.DataFrame:
    return rb.stored_distances(find_run("toyfaces", model), "last", method).rows
