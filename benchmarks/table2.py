"""Test accuracy beside the paper's Table 2, for what can be trained on a small machine in minutes.

    python -m benchmarks.table2 --utkface FOLDER --cifar FOLDER

The data at hand are parts of the paper's, so the figures stand side by side and are not a
reproduction. Runs are kept.
"""

from pathlib import Path
from typing import Annotated

import typer

import rbcore as rb

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


def main(
    utkface: Annotated[Path, typer.Option(help="Folder of UTKFace; loaded at 64 pixels.")],
    cifar: Annotated[
        Path,
        typer.Option(help="Folder of CIFAR-10 in the official layout; its checksums are waived."),
    ],
) -> None:
    """Train each pair with the modern recipe and print one table in Markdown."""
    data = {
        "utkface": rb.load_dataset("utkface", root=utkface, size=64),
        "cifar10": rb.load_dataset("cifar10", root=cifar, checksum=False),
    }
    print("| dataset | model | train images | epochs | test accuracy, n | paper |")
    print("|---|---|---|---|---|---|")
    for (dataset, model), paper in PAPER.items():
        run = rb.train(
            model, data[dataset], epochs=EPOCHS[dataset, model], keep="1", weights="none"
        )
        facts = run.facts
        accuracy = f"{facts.test_accuracy:.1%}, {facts.n_test:,}"
        print(
            f"| {dataset} | {model} | {facts.n_train:,} | {run.n_epochs} | "
            f"{accuracy} | {paper:.2f}% |",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
