"""What the cases start from: a small cache, a folder of images, weights; the right numbers.

It is built once, in a process of its own, so that the process that forks the workers has never
started a thread of torch's.
"""

import csv
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from PIL import Image

import rbcore as rb
from rbcore.datasets import Dataset
from rbcore.errors import Cancelled
from rbcore.runs.checkpoints import find_run

DATASET, LIMIT, BATCH = "digits", 60, 1
MODELS = {"small_cnn": "net", "logistic_regression": "plane"}
TABLES = {
    ("small_cnn", 2, "minimal:fast"): LIMIT,
    ("small_cnn", 1, "minimal:fast"): 24,
    ("small_cnn", 2, "deepfool"): 24,
    ("logistic_regression", 2, "exact"): LIMIT,
}
"""The tables of the cache, by model, epoch and method, and the images in each."""
PARTS = 45
"""Images whose batches are finished in the cache of an interrupted run."""
CLASSES, SPLITS, SIDE = ("cat", "dog"), {"train": 6, "test": 4}, 20


@dataclass(frozen=True)
class World:
    """The folders of what was built, and the facts that a case compares with.

    Attributes
    ----------
    cache
        Runs and tables; ``interrupted``, the same with the parts of an estimate that did not end
        and without its table.
    images
        Class folders of PNG files with ``metadata.csv``; ``decoded``, a cache that has
        them at 16 pixels.
    weights
        ``net.pth`` and ``net.safetensors``, the weights of the run ``net`` as
        others would save them.
    facts
        The right numbers, by name.
    """

    folder: Path
    facts: dict[str, Any]

    @property
    def cache(self) -> Path:
        """The cache with runs and tables."""
        return self.folder / "cache"

    @property
    def interrupted(self) -> Path:
        """The cache of an estimate that did not end."""
        return self.folder / "interrupted"

    @property
    def images(self) -> Path:
        """The folder of images."""
        return self.folder / "images"

    @property
    def decoded(self) -> Path:
        """The cache that holds the images decoded."""
        return self.folder / "decoded"

    @property
    def weights(self) -> Path:
        """The folder of weights."""
        return self.folder / "weights"


def open_world(folder: Path) -> World:
    """Return what `build` left in a folder."""
    return World(folder, json.loads((folder / "world.json").read_text()))


def build(folder: Path) -> None:
    """Train, estimate and draw all that the cases need, and write down the right numbers."""
    torch.set_num_threads(1)
    world = World(folder, {})
    os.environ["RBCORE_CACHE"] = str(world.cache)
    digits = rb.load_dataset(DATASET)
    for model, run in MODELS.items():
        rb.train(model, digits, epochs=2, run=run, device="cpu")
    shutil.copytree(world.cache, world.interrupted)
    tables = {}
    for (model, epoch, method), n in TABLES.items():
        network = rb.load_model(model, digits, epoch=epoch, run=MODELS[model], device="cpu")
        rb.estimate_distances(network, digits, method, limit=n, batch_size=BATCH)
        tables[spelled(model, epoch, method)] = stored(model, epoch, method)
    network = rb.load_model("small_cnn", digits, run="net", device="cpu")
    world.weights.mkdir()
    tensors = _weights(digits, 2)
    torch.save(tensors, world.weights / "net.pth")
    _save_safetensors(tensors, world.weights / "net.safetensors")
    os.environ["RBCORE_CACHE"] = str(world.interrupted)
    interrupt(network, digits, PARTS)
    draw_images(world.images)
    os.environ["RBCORE_CACHE"] = str(world.decoded)
    images = rb.load_dataset("folder", root=world.images, size=16)
    facts = {
        "tables": tables,
        "runs": {model: facts_of_run(world.cache, model, run) for model, run in MODELS.items()},
        "weights": digest_of_tensors(tensors),
        "weights of epoch 1": digest_of_tensors(_weights(digits, 1)),
        "images": facts_of_images(images),
    }
    (folder / "world.json").write_text(json.dumps(facts))


def add_facts(folder: Path, more: dict[str, Any]) -> None:
    """Write further facts beside those of `build`."""
    facts = open_world(folder).facts
    (folder / "world.json").write_text(json.dumps({**facts, **more}))


def _weights(dataset: Dataset, epoch: int) -> dict[str, torch.Tensor]:
    network = rb.load_model("small_cnn", dataset, epoch=epoch, run="net", device="cpu").network
    return network.get_submodule("network").state_dict()


def _save_safetensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write tensors as others do."""
    safetensors.torch.save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, os.fspath(path)
    )


def spelled(model: str, epoch: int, method: str) -> str:
    """Return the name of a table among the facts."""
    return f"{model} {epoch} {method}"


def interrupt(model: Any, dataset: Dataset, n: int) -> None:
    """Start an estimate and stop it after so many images, so that its batches remain as parts."""
    done = 0

    def count(now: int, total: int, what: str) -> None:
        nonlocal done
        done = now

    try:
        rb.estimate_distances(
            model,
            dataset,
            "minimal:fast",
            limit=LIMIT,
            batch_size=BATCH,
            progress=count,
            cancel=lambda: done >= n,
        )
    except Cancelled:
        return
    raise RuntimeError("the estimate was not interrupted")


def draw_images(folder: Path) -> None:
    """Draw class folders of small images, with an attribute of text and one of numbers."""
    random = np.random.default_rng(3)
    rows = []
    for split, n in SPLITS.items():
        for number, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for k in range(n):
                pixels = (random.random((SIDE, SIDE, 3)) * 200).astype(np.uint8)
                pixels[..., number] += 40
                file = f"{split}/{name}/{k}.png"
                Image.fromarray(pixels).save(folder / file)
                rows.append([file, "AB"[k % 2], str(20 + k)])
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "camera", "age"], *rows])


def digest_of_rows(rows: pd.DataFrame) -> str:
    """Return a hash of every value of a table and of the columns' names."""
    return hashlib.sha256(rows.to_csv(index=False, float_format="%.17g").encode()).hexdigest()


def digest_of_tensors(tensors: dict[str, torch.Tensor]) -> str:
    """Return a hash of tensors and their names, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def stored(model: str, epoch: int, method: str) -> dict[str, Any] | None:
    """Return what the store says of a method: a hash of the rows, the key and the provenance.

    None where it has no table.
    """
    table = rb.stored_distances(find_run(DATASET, model, MODELS[model]), epoch, method)
    if table is None:
        return None
    return {
        "rows": digest_of_rows(table.rows),
        "key": table.key.model_dump(mode="json"),
        "provenance": table.provenance.model_dump(mode="json"),
    }


def estimated(model: str, epoch: int, method: str) -> str:
    """Estimate as the tables of the cache were, and return a hash of the rows in the store."""
    digits = rb.load_dataset(DATASET)
    network = rb.load_model(model, digits, epoch=epoch, run=MODELS[model], device="cpu")
    rb.estimate_distances(
        network, digits, method, limit=TABLES[model, epoch, method], batch_size=BATCH
    )
    found = stored(model, epoch, method)
    return "" if found is None else str(found["rows"])


def facts_of_run(cache: Path, model: str, run: str) -> dict[str, Any]:
    """Return the sidecars of a run as the library reads them, by epoch."""
    os.environ["RBCORE_CACHE"] = str(cache)
    found = find_run(DATASET, model, run)
    return {str(epoch): found.sidecar(epoch).model_dump(mode="json") for epoch in found.epochs}


def facts_of_images(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset's fingerprint, and each sample's labels, attributes and pixel hash."""
    samples = dataset.samples.to_dict("records")
    pixels = [
        hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:16]
        for image in dataset.images
    ]
    return {
        "pixels": {
            str(row["sample_id"]): image for row, image in zip(samples, pixels, strict=True)
        },
        "fingerprint": dataset.fingerprint,
        "samples": {str(row["sample_id"]): _plain(row) for row in samples},
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        str(name): value.item() if isinstance(value, np.generic) else value
        for name, value in row.items()
    }
