"""Which images count: ends of the attacks, and certificates where the network is wrong.

``python -m benchmarks.statuses``: a minute on one core. It reads the shipped runs; what is not in
the store is computed.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import torch
import typer

import rbcore as rb
from benchmarks.results import Results, Row, page, save
from benchmarks.subjects import engine_for
from rbcore.distances.batching import in_batches

METHODS = ("carlini_wagner:paper", "deepfool", "minimal")
EPOCHS = ("first", "middle", "last")
BATCH_SIZE = 128
STATUSES = ("found", "fallback", "failed", "misclassified")
OF_WRONG = ("certified", "abstained", "overruled")
EVERY = 5
"""Test images between two that are certified, as in the shipped table."""


def fallback_rows(epochs: Iterable[str]) -> Iterator[Row]:
    """Count the statuses of the digits by epoch and method."""
    digits = rb.load_dataset("digits")
    rows = digits.rows("test")
    labels = digits.samples["label"].to_numpy(np.int64)
    for epoch in epochs:
        network = rb.load_model("small_cnn", digits, epoch=epoch, device="cpu").network
        for spelled in METHODS:
            options = {"targets": np.sort(rows), "batch_size": BATCH_SIZE}
            engine = engine_for(network, digits.pixels, labels, spelled, **options)
            parts = [engine.estimate(part).status for part in in_batches(rows, engine.rows_a_batch)]
            counts = pd.Series(np.concatenate(parts)).value_counts()
            shown = {status: int(counts.get(status, 0)) for status in STATUSES}
            yield {"epoch": epoch, "method": spelled, "n": len(rows), **shown}


def certificate_rows(rows: pd.DataFrame) -> Iterator[Row]:
    """Count what the certificates say of images that the network has wrong, and of the others."""
    is_right = rows["network_prediction"] == rows["label"]
    for whose, some in (("wrong", rows[~is_right]), ("right", rows[is_right])):
        counts = some["status"].value_counts()
        yield {
            "the network is": whose,
            "n": len(some),
            **{status: int(counts.get(status, 0)) for status in OF_WRONG},
            "correct by g": int(some["is_correct"].sum()),
        }


def sigma_rows(rows: pd.DataFrame, partitions: list[str]) -> Iterator[Row]:
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
                "moved by": now.sigma - before.sigma,
            }


FALLBACKS = "Ends of the attacks, digits"
CERTIFICATES = f"Certificates where the network is wrong, toy faces, every {EVERY}th test image"
SIGMAS = "Sigma of these certificates"
TEXTS = {
    CERTIFICATES: "`smoothing`, noise 0.125, n = 1,000, alpha = 0.001.",
    SIGMAS: "With the 95% interval. Correct by f is what was measured before.",
}


def report(results: Results) -> str:
    """Return all tables in Markdown."""
    return page(results, {"moved by": "+.3f"}, TEXTS)


def main(epochs: str = ",".join(EPOCHS)) -> None:
    """Count all."""
    torch.set_num_threads(1)
    faces = rb.load_dataset("toyfaces")
    model = rb.load_model("small_cnn", faces, device="cpu")
    rows = rb.estimate_distances(model, faces, "smoothing", every=EVERY)
    partitions = ["class", "lighting", "camera", "site"]
    tables = {
        FALLBACKS: fallback_rows(epochs.split(",")),
        CERTIFICATES: certificate_rows(rows),
        SIGMAS: sigma_rows(rows, partitions),
    }
    print(report(save("statuses", tables)))


if __name__ == "__main__":
    typer.run(main)
