"""Figures 1 and 2: classifiers in a plane, whose distances fit on paper."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from rbcore.distances import resolve_method
from rbcore.measures.tables import Bound, Status

CLASS_NAMES = ("blue", "brown", "green")
CENTERS = np.array([[0.26, 0.30], [0.52, 0.42], [0.70, 0.76]])
"""Brown lies between the other two: it is close to a boundary on both sides."""
SPREAD = 0.075
N_A_CLASS = 150
REGULARIZATION = 1e3

BUDGET_TOY_TAU = 0.08
N_A_SUBGROUP = 20
SHARES_A = {"round": 0.7, "cross": 0.3}
SHARES_B = {"round": 0.3, "cross": 0.3}


@dataclass(frozen=True)
class Toy:
    """A linear classifier in the plane and points with their exact distances.

    Attributes
    ----------
    distances
        A table of distances with ``x``, ``y``, ``class``, ``group`` and ``status``; distance
        is L2 in the plane.
    weights, biases
        Of the logits, shape (n_classes, 2) and (n_classes,).
    boundaries
        ``line``, ``x``, ``y``, ``offset``: the pieces at which the most likely
        class changes, sampled.
    """

    distances: pd.DataFrame
    weights: np.ndarray
    biases: np.ndarray
    boundaries: pd.DataFrame


def class_toy(*, seed: int = 0) -> Toy:
    """Fit a true multinomial logistic regression to three classes in the plane (figure 2).

    All classes are about equally easy to classify, but brown lies closest to the boundary.
    """
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(seed)
    points = np.concatenate(
        [random.normal(center, SPREAD, (N_A_CLASS, 2)) for center in CENTERS]
    ).clip(0, 1)
    labels = np.repeat(np.arange(len(CENTERS)), N_A_CLASS)
    fitted = LogisticRegression(C=REGULARIZATION, max_iter=10_000).fit(points, labels)
    groups = np.array(CLASS_NAMES)[labels]
    return _toy(points, labels, groups, groups, fitted.coef_, fitted.intercept_)


def budget_toys(*, tau: float = BUDGET_TOY_TAU, seed: int = 0) -> tuple[Toy, Toy]:
    """Return figure 1's two classifiers of the same points: with unlike and with like subgroups.

    Both are always right.

    By the first, 70% of the round and 30% of the crosses lie within tau of the boundary; by
    the second, 30% of both. Distances to two lines that are not parallel can be chosen freely,
    and fix the point.
    """
    random = np.random.default_rng(seed)
    normals = np.array([[1.0, 0.0], [np.cos(np.pi / 3), np.sin(np.pi / 3)]])
    sides, labels, groups = [], [], []
    for label, sign in enumerate((-1, 1)):
        for group in SHARES_A:
            columns = []
            for shares in (SHARES_A, SHARES_B):
                n_within = round(shares[group] * N_A_SUBGROUP)
                near = random.uniform(0.2 * tau, 0.95 * tau, n_within)
                far = random.uniform(1.1 * tau, 3.2 * tau, N_A_SUBGROUP - n_within)
                columns.append(random.permutation(np.concatenate([near, far])))
            sides.append(sign * np.stack(columns, axis=1))
            labels += [label] * N_A_SUBGROUP
            groups += [group] * N_A_SUBGROUP
    center = np.array([0.5, 0.5])
    points = center + np.concatenate(sides) @ np.linalg.inv(normals).T
    toys = []
    for normal in normals:
        weights = np.stack([-normal, normal])
        classes = np.array(CLASS_NAMES)[labels]
        toys.append(
            _toy(
                points,
                np.array(labels),
                classes,
                np.array(groups),
                weights,
                -weights @ center,
                offsets=(-tau, tau),
            )
        )
    return toys[0], toys[1]


def _toy(
    points: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray,
    biases: np.ndarray,
    *,
    offsets: tuple[float, ...] = (),
) -> Toy:
    import torch
    from torch import nn

    from rbcore.distances.engine import estimate_arrays

    layer = nn.Linear(2, len(weights), dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weights))
        layer.bias.copy_(torch.as_tensor(biases))
    network = nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False)
    method, parameters = resolve_method("exact")
    found = estimate_arrays(network, points.reshape(-1, 1, 1, 2), labels, method, parameters)
    table = pd.DataFrame(
        {
            "sample_id": [f"point {index}" for index in range(len(points))],
            "label": labels,
            "prediction": found.prediction,
            "is_correct": found.status != Status.MISCLASSIFIED,
            "distance": found.distance,
            "bound": Bound.EXACT.value,
            "status": found.status.astype(str),
            "class": classes,
            "group": groups,
            "x": points[:, 0],
            "y": points[:, 1],
        }
    )
    return Toy(table, weights, biases, boundary_lines(weights, biases, offsets=offsets))


def boundary_lines(
    weights: np.ndarray, biases: np.ndarray, *, offsets: tuple[float, ...] = (), n_points: int = 801
) -> pd.DataFrame:
    """Sample the lines at which the most likely class of a linear classifier changes.

    Returns
    -------
    pandas.DataFrame
        ``line`` (the two classes' numbers), ``x``, ``y``, and ``offset``: 0, or one of ``offsets``,
        how far beside the boundary.
    """
    along = np.linspace(-1.5, 1.5, n_points)
    tables = []
    for first, second in combinations(range(len(weights)), 2):
        difference, constant = weights[first] - weights[second], biases[first] - biases[second]
        length = np.linalg.norm(difference)
        normal = difference / length
        nearest = np.array([0.5, 0.5]) - (normal @ [0.5, 0.5] + constant / length) * normal
        line = nearest + along[:, None] * np.array([-normal[1], normal[0]])
        logits = line @ weights.T + biases
        is_boundary = logits.max(axis=1) <= logits[:, first] + 1e-9 * (1 + np.abs(logits[:, first]))
        for offset in (0.0, *offsets):
            piece = line[is_boundary] + offset * normal
            tables.append(
                pd.DataFrame(
                    {
                        "line": f"{first}-{second}",
                        "x": piece[:, 0],
                        "y": piece[:, 1],
                        "offset": offset,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)
