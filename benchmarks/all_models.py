"""Every model of the paper on real images at the paper's input size: five steps, then DeepFool.

    python -m benchmarks.all_models --utkface FOLDER --cifar FOLDER

It shows that each one builds, learns and can be measured on a CPU; the weights are random, so
nothing is said of accuracy.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

import rbcore as rb
from benchmarks.results import Results, Row, page, save, say
from benchmarks.subjects import Cifar
from rbcore.datasets import Dataset
from rbcore.distances import resolve_method
from rbcore.distances.engine import estimate_arrays
from rbcore.models import build_network

BATCH, ATTACKED, STEPS, LEARNING_RATE = 8, 2, 5, 0.002
CIFAR_MODELS = (
    "logistic_regression",
    *("deep_cnn", "deep_cnn_cifar100", "pyramidnet110", "pyramidnet164"),
    *("alexnet", "vgg19", "resnet50", "densenet121", "squeezenet1_0"),
)
FACE_MODELS = {"utk_classifier": 200, "adience_classifier": 224}


def measure(name: str, data: Dataset) -> Row:
    """Train five steps on a batch, attack two images, and return one row of the table."""
    started = time.perf_counter()
    torch.manual_seed(0)
    network = build_network(name, data.input_shape, len(data.classes), data.mean, data.std)
    rows = data.rows("train")[:BATCH]
    images, labels = torch.as_tensor(data.pixels(rows)), torch.as_tensor(data.labels(rows))
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=0.9)
    losses = []
    for _ in range(STEPS + 1):
        torch.manual_seed(1)  # the same dropout at every step, so that losses can be compared
        loss = torch.nn.functional.cross_entropy(network.train()(images), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 1.0  # five steps leave the running statistics far behind the weights
    with torch.no_grad():
        network(images)
        network.eval()
        predicted = (
            network(images[:ATTACKED]).argmax(1).numpy()
        )  # five steps teach little: attack what is predicted
    method, parameters = resolve_method("deepfool")
    found = estimate_arrays(network, images[:ATTACKED].numpy(), predicted, method, parameters)
    distances = ", ".join(
        f"{d:.3g} ({s})" for d, s in zip(found.distance, found.status, strict=True)
    )
    is_falling = np.isfinite(losses).all() and losses[-1] < losses[0]
    loss_text = f"{losses[0]:.3f} -> {losses[-1]:.3f}" + ("" if is_falling else " (not falling)")
    say(f"{name}: {loss_text}")
    return {
        "model": name,
        "images": f"{data.name}, {data.size} px",
        f"loss before and after {STEPS} steps (n = {BATCH})": loss_text,
        f"DeepFool distances of {ATTACKED} images": distances,
        "s": time.perf_counter() - started,
    }


def report(results: Results) -> str:
    """Return the table in Markdown."""
    return page(results, {"s": ".0f"})


def main(
    cifar: Cifar,
    utkface: Annotated[Path, typer.Option(help="Folder of UTKFace.")],
    models: Annotated[str, typer.Option(help="All, by default.")] = ",".join(
        (*CIFAR_MODELS, *FACE_MODELS)
    ),
) -> None:
    """Measure each model."""
    asked = models.split(",")
    small = rb.load_dataset("cifar10", root=cifar, checksum=False)
    rows = [measure(name, small) for name in CIFAR_MODELS if name in asked]
    for name, size in FACE_MODELS.items():
        if name in asked:
            rows.append(measure(name, rb.load_dataset("utkface", root=utkface, size=size)))
    print(report(save("all_models", {"Models": rows})))


if __name__ == "__main__":
    typer.run(main)
