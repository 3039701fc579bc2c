"""Test accuracy beside the paper's Table 2, for what can be trained on a small machine in minutes.

    python -m benchmarks.table2 --utkface FOLDER --cifar FOLDER

The data at hand are parts of the paper's, so the figures stand side by side and are not a
reproduction. Runs are kept.
"""

from pathlib import Path
from typing import Annotated

import typer

import rbcore as rb
from benchmarks.results import Results, page, save
from benchmarks.subjects import Cifar

PAPER = {
    ("utkface", "utk_classifier"): 66.25,
    ("cifar10", "deep_cnn"): 86.97,
    ("cifar10", "squeezenet1_0"): 76.97,
}
"""Table 2, per cent; torchvision's networks start from ImageNet weights there and from
random ones here.
"""
EPOCHS = {
    ("utkface", "utk_classifier"): 12,
    ("cifar10", "deep_cnn"): 4,
    ("cifar10", "squeezenet1_0"): 12,
}


def report(results: Results) -> str:
    """Return the table in Markdown."""
    forms = {"train images": ",", "test accuracy": ".1%", "n": ",", "paper": ".2%"}
    return page(results, forms)


def main(
    cifar: Cifar,
    utkface: Annotated[Path, typer.Option(help="Folder of UTKFace; loaded at 64 pixels.")],
    epochs: Annotated[int | None, typer.Option(help="Of every run, for a look.")] = None,
    models: Annotated[str, typer.Option(help="All, by default.")] = ",".join(
        model for _, model in PAPER
    ),
) -> None:
    """Train each pair with the modern recipe."""
    data = {
        "utkface": rb.load_dataset("utkface", root=utkface, size=64),
        "cifar10": rb.load_dataset("cifar10", root=cifar, checksum=False),
    }
    rows = []
    for (dataset, model), paper in PAPER.items():
        if model not in models.split(","):
            continue
        n_epochs = epochs or EPOCHS[dataset, model]
        run = rb.train(model, data[dataset], epochs=n_epochs, keep="1", weights="none")
        own = {"dataset": dataset, "model": model, "train images": run.facts.n_train}
        accuracy = {"test accuracy": run.facts.test_accuracy, "n": run.facts.n_test}
        rows.append({**own, "epochs": run.n_epochs, **accuracy, "paper": paper / 100})
    print(report(save("table2", {"Table 2": rows})))


if __name__ == "__main__":
    typer.run(main)
