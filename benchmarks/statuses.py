"""Which images count: ends of the fallback before and now, and certificates where the network is wrong.

``python -m benchmarks.statuses`` writes `benchmarks/statuses.md`; a minute on one core. It reads
the shipped runs; what is not in the store is computed.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import rbcore as rb
from benchmarks.coverage import markdown
from rbcore.distances import Batch, resolve_method
from rbcore.distances.batching import in_batches, in_passes
from rbcore.distances.engine import Engine
from rbcore.distances.fallback import BISECTIONS, Fallback
from rbcore.distances.samples import Samples
from rbcore.distances.tensors import between

METHODS = ("carlini_wagner:paper", "deepfool", "minimal")
EPOCHS = ("first", "middle", "last")
BATCH_SIZE = 128
STATUSES = ("found", "fallback", "failed", "misclassified")
OF_WRONG = ("certified", "abstained", "overruled")
EVERY = 5
"""Test images between two that are certified, as in the shipped table."""


class FormerFallback(Fallback):
    """The rule it had: bisect to where the argmax changes, and end 1e-4 of the rest beyond."""

    def perturbed(self, batch: Batch) -> Tensor:
        """Return images by that rule."""
        images, labels = batch.images, batch.labels
        target = self.nearest_targets(batch, torch.zeros(len(images)))
        outside, inside = torch.ones(len(images)), torch.zeros(len(images))
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            moved = between(images, target, middle)
            crossed = in_passes(self.network, moved, batch.size).argmax(1) != labels
            outside, inside = (
                torch.where(crossed, middle, outside),
                torch.where(crossed, inside, middle),
            )
        return between(images, target, outside + 1e-4 * (1 - outside))


def fallback_rows() -> Iterator[dict[str, object]]:
    """Count the statuses of the digits by epoch and method, by either rule."""
    digits = rb.load_dataset("digits")
    rows = digits.rows("test")
    for epoch in EPOCHS:
        model = rb.load_model("small_cnn", digits, epoch=epoch, device="cpu")
        for spelled in METHODS:
            method, parameters = resolve_method(spelled)
            for rule, kind in (("before", FormerFallback), ("now", Fallback)):
                samples = Samples.of_arrays(
                    digits.pixels(np.arange(len(digits.samples))),
                    digits.samples["label"].to_numpy(np.int64),
                    np.sort(rows),
                )
                engine = Engine(model.network, samples, method, parameters, batch_size=BATCH_SIZE)
                engine.fallback = kind(engine.network, samples, method.norm)
                found = [
                    engine.estimate(batch).status for batch in in_batches(rows, engine.rows_a_batch)
                ]
                counts = pd.Series(np.concatenate(found)).value_counts()
                shown = {status: int(counts.get(status, 0)) for status in STATUSES}
                yield {"epoch": epoch, "method": spelled, "n": len(rows), "rule": rule, **shown}


def certificate_rows(rows: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Count what the certificates say of the images that the network has wrong, and of the others."""
    is_right = rows["network_prediction"] == rows["label"]
    for whose, some in (("wrong", rows[~is_right]), ("right", rows[is_right])):
        counts = some["status"].value_counts()
        yield {
            "the network is": whose,
            "n": len(some),
            **{status: int(counts.get(status, 0)) for status in OF_WRONG},
            "correct by g": int(some["is_correct"].sum()),
        }


def sigma_rows(rows: pd.DataFrame, partitions: list[str]) -> Iterator[dict[str, object]]:
    """Measure sigma of every group, with what is correct by g and by the network.

    The latter is what the tables held before.
    """
    for by in partitions:
        own, network = (
            rb.robustness_bias(rows, by, policy=rb.Policy(correct_by=whose))
            for whose in ("own", "network")
        )
        for now, before in zip(own.itertuples(), network.itertuples(), strict=True):
            yield {
                "partition": by,
                "group": now.group,
                "n": now.n,
                "correct by g, by f": f"{now.n_correct}, {before.n_correct}",
                "sigma, correct by g": f"{now.sigma:+.3f} [{now.low:+.2f}, {now.high:+.2f}]",
                "sigma, correct by f": (
                    f"{before.sigma:+.3f} [{before.low:+.2f}, {before.high:+.2f}]"
                ),
                "moved by": f"{now.sigma - before.sigma:+.3f}",
            }


def main() -> None:
    """Count all, and write the tables down."""
    torch.set_num_threads(1)
    faces = rb.load_dataset("toyfaces")
    model = rb.load_model("small_cnn", faces, device="cpu")
    rows = rb.estimate_distances(model, faces, "smoothing", every=EVERY)
    partitions = ["class", "lighting", "camera", "site"]
    parts = [
        "# Which images count",
        (
            f"`python -m benchmarks.statuses`, {datetime.now().astimezone():%Y-%m-%d}, shipped "
            "runs of `small_cnn`, test images."
        ),
        "## Ends of the fallback, digits",
        (
            "Before: the walk to the nearest image of another class ended 1e-4 of the rest of the "
            "way beyond the boundary, where the lead of the other class could be below the margin "
            "for rounding, and the image was failed. Now it ends where that lead is clear."
        ),
        markdown(fallback_rows()),
        f"## Certificates where the network is wrong, toy faces, every {EVERY}th test image",
        (
            f"`smoothing`, noise 0.125, n = 1,000, alpha = 0.001; n = {len(rows)}. Those that the "
            "network has wrong were skipped before."
        ),
        markdown(certificate_rows(rows)),
        (
            "Sigma of these certificates, with the 95% interval. Correct by f is what "
            "was measured before."
        ),
        markdown(sigma_rows(rows, partitions)),
    ]
    Path(__file__).with_suffix(".md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
