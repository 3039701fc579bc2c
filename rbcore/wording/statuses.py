"""What happened to the images of a table of distances, in words.

Counts that belong beside every number made of it.
"""

import pandas as pd

from rbcore.distances.base import resolve_method
from rbcore.distances.smoothing.radii import ceiling
from rbcore.measures.tables import Status, checked
from rbcore.sampling import share_correct

STATUS_WORDS = {
    Status.MISCLASSIFIED: "misclassified without any attack",
    Status.FAILED: "without a distance",
    Status.FALLBACK: "by the fallback, bisection toward the nearest image of another class",
    Status.ABSTAINED: "abstained, radius 0",
    Status.OVERRULED: "for which the smoothed classifier predicts another class, radius 0",
}
AT_CEILING = 1e-9
"""How far below the ceiling, relative to it, a radius still counts as at it."""


def accuracy_in_words(rows: pd.DataFrame) -> str:
    """Say what share of the images is classified correctly.

    Where the distances are the smoothed classifier g's, by it and by f.
    """
    if "network_prediction" not in rows:
        return f"{share_correct(rows):.1%} classified correctly"
    by_network = (rows["network_prediction"] == rows["label"]).mean()
    return (
        f"{share_correct(rows):.1%} classified correctly by the smoothed classifier g, "
        f"{by_network:.1%} by the network f"
    )


def statuses_in_words(rows: pd.DataFrame, method: str) -> str:
    """Count what happened to the images, in one sentence.

    Parameters
    ----------
    rows
        A table as `rbcore.estimate_distances` returns it.
    method
        As it is spelled. Of a certificate the radii at the ceiling are counted too: what ``n``
        noisy copies can show at most.

    Examples
    --------
    >>> import rbcore as rb
    >>> (run,) = rb.list_runs("digits", "small_cnn")
    >>> rb.statuses_in_words(rb.stored_distances(run, "last", "minimal").rows, "minimal")
    'Of 360 images: 8 misclassified without any attack.'
    """
    rows = checked(rows)
    counts = rows["status"].value_counts()
    parts = [
        f"{counts[status]:,} {words}"
        for status, words in STATUS_WORDS.items()
        if counts.get(status, 0)
    ]
    certified = rows.loc[rows["status"] == Status.CERTIFIED, "distance"]
    if len(certified):
        chosen, values = resolve_method(method)
        most = ceiling(float(values["noise"]), int(values["n"]), float(values["alpha"]))
        n_most = int((certified >= most * (1 - AT_CEILING)).sum())
        parts.append(
            f"{len(certified):,} certified, {n_most:,} of them at the ceiling of {most:.3f} "
            f"({chosen.norm.symbol})"
        )
    return f"Of {len(rows):,} images: {', '.join(parts) or 'all have a distance'}."
