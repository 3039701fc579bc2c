"""What is attacked: networks with images that they classify correctly, and engines for them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

import rbcore as rb
from benchmarks.results import say
from rbcore.datasets import Dataset
from rbcore.distances import resolve_method
from rbcore.distances.base import Network
from rbcore.distances.batching import in_batches
from rbcore.distances.engine import Engine
from rbcore.distances.samples import Samples
from rbcore.outputs.modes import evaluating

CACHE = Path("~/.cache/rbcore-benchmarks").expanduser()
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EPOCHS = 12
PEERS_BATCH = 64
"""Images a peer gets at a time: where Foolbox's DeepFool was fastest of 8, 16, 32, 64 and 128 on
both networks here.
"""

Cifar = Annotated[
    Path, typer.Option(help="Folder of CIFAR-10 in the official layout; its checksums are waived.")
]
Weights = Annotated[Path, typer.Option(help="State dict of ResNet-20, resnet20-12fca82f.th.")]
Faces = Annotated[Path | None, typer.Option(help="Folder of UTKFace; loaded at 64 pixels.")]
Threads = Annotated[int, typer.Option(help="Threads of torch.")]


@dataclass(frozen=True)
class Subject:
    """A network, correctly classified images (n, channels, height, width), our images a pass."""

    title: str
    network: nn.Module
    images: np.ndarray
    labels: np.ndarray
    batch: int | None

    def first(self, n: int | None) -> "Subject":
        """Return the same with its first `n` images only."""
        return replace(self, images=self.images[:n], labels=self.labels[:n])

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """The images and labels."""
        return torch.as_tensor(self.images), torch.as_tensor(self.labels)


def engine_for(
    network: Network,
    images: np.ndarray | Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    spelled: str,
    parameters: dict[str, Any] | None = None,
    *,
    batch_size: int | None = None,
    targets: np.ndarray | None = None,
) -> Engine:
    """Return a new engine for images, or a function that gives them by row, and a method.

    All images are fallback targets unless others are given.
    """
    method, values = resolve_method(spelled, parameters or {})
    rows = np.arange(len(labels))
    pixels = images if callable(images) else images.__getitem__
    samples = Samples(pixels, labels, rows if targets is None else targets, rows)
    return Engine(network, samples, method, values, batch_size=batch_size)


def correct_rows(subject: Subject, n: int) -> Subject:
    """Return the first `n` images that the network classifies correctly, alone and in a batch."""
    network, images, labels = subject.network, subject.images, subject.labels
    right = np.ones(len(labels), bool)
    with evaluating(network, frozen=True), torch.no_grad():
        for size in (1, PEERS_BATCH):
            parts = [
                network(torch.as_tensor(images[rows]))
                for rows in in_batches(np.arange(len(labels)), size)
            ]
            right &= torch.cat(parts).argmax(1).numpy() == labels
    chosen = np.flatnonzero(right)[:n]
    if len(chosen) < n:
        say(f"{subject.title}: only {len(chosen)} of {len(labels)} test images are correct.")
    found = replace(subject, images=images[chosen], labels=labels[chosen])
    if found.batch:
        return found
    return replace(
        found, batch=engine_for(network, found.images, found.labels, "minimal").batch_size
    )


def load_cifar_network(cifar: Path, weights: Path) -> tuple[Dataset, nn.Module]:
    """Return CIFAR-10 and a stranger's ResNet-20, imported from its file."""
    data = rb.load_dataset("cifar10", root=cifar, checksum=False)
    run = rb.import_weights(
        data, "resnet20", weights, mean=IMAGENET_MEAN, std=IMAGENET_STD, device="cpu"
    )
    return data, rb.load_model("resnet20", data, run=run.name, device="cpu").network


def load_cifar(cifar: Path, weights: Path, n: int, batch: int | None = None) -> Subject:
    """Return CIFAR-10's test images and a stranger's ResNet-20."""
    data, network = load_cifar_network(cifar, weights)
    rows = data.rows("test")
    pixels, labels = data.pixels(rows), data.labels(rows)
    return correct_rows(Subject("CIFAR-10, ResNet-20", network, pixels, labels, batch), n)


def load_faces(utkface: Path, n: int, batch: int | None = None) -> Subject:
    """Return UTKFace's test images at 64 pixels and a network, trained if the cache has none."""
    data = rb.load_dataset("utkface", root=utkface, size=64)
    run = rb.train("utk_classifier", data, epochs=EPOCHS, keep="1", weights="none", device="cpu")
    network = rb.load_model("utk_classifier", data, run=run.name, device="cpu").network
    rows = data.rows("test")
    title = "UTKFace at 64 pixels, utk_classifier"
    return correct_rows(Subject(title, network, data.pixels(rows), data.labels(rows), batch), n)
