"""What the fairness term costs: time and memory of a regularized training step against a plain one.

``OMP_NUM_THREADS=1 python -m benchmarks.regularizer_cost``, per model and form. The images are
synthetic (uniform noise of the right shape, UTKFace's five classes), since time and memory depend
on shapes alone, and on how many images are classified correctly, for which the distances are
computed. Three settings are measured in turns, batch by batch, so that a busy machine slows all
alike: the plain step, and the regularized one with all labels right (the dearest case) and with two
of three right (a network in training). Every step is a whole step of
`rbcore.training.loop.Trainer`, optimizer included.
"""

import subprocess
import sys
import time
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

from benchmarks.results import Results, Row, memory, page, save, say
from rbcore.datasets import Dataset
from rbcore.models import build_network
from rbcore.training.hooks import PLAIN
from rbcore.training.loop import Batch, Trainer
from rbcore.training.mitigations.regularizer import FORMS, Regularizer
from rbcore.training.recipes import recipe_for

SIZE = 64
N_CLASSES = 5
RIGHT, MEMORY = "ms, all right", "MB above the start"
MODELS = ("utk_classifier", "small_cnn")
SHARES = (1.0, 2 / 3)
"""Shares of correctly classified images."""


def made_up(n: int) -> Dataset:
    """Return n images of noise, of which every other one belongs to the group."""
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, SIZE, SIZE), dtype=np.uint8)
    samples = pd.DataFrame(
        {"sample_id": np.arange(n).astype(str), "split": "train", "label": np.zeros(n, np.int64)}
    )
    samples["side"] = np.where(np.arange(n) % 2, "P", "rest")
    names = tuple("abcde")
    return Dataset("noise", pixels, samples, names, (0.5,) * 3, (0.25,) * 3, seed=0)


class Stepper:
    """One network in training, and the step to be timed."""

    def __init__(self, model: str, form: str | None, share: float = 1.0) -> None:
        recipe = recipe_for("utkface", model)
        data = made_up(recipe.batch_size)
        torch.manual_seed(0)
        network = build_network(model, data.input_shape, N_CLASSES, data.mean, data.std)
        hooks = PLAIN
        if form is not None:
            hooks = Regularizer("side", "P", form=form).hooks(data.samples)
        self.trainer = Trainer(network, data, recipe, torch.device("cpu"), hooks)
        self.images = torch.as_tensor(data.pixels(np.arange(len(data.samples))))
        self.has_term = form is not None
        self.share = share

    def step(self) -> float:
        """Take one step and return its seconds; the labels are made right, or wrong, before."""
        network = self.trainer.network.eval()
        with torch.no_grad():
            labels = network(self.images).argmax(1)
        n_wrong = round((1 - self.share) * len(labels))
        labels[:n_wrong] = (labels[:n_wrong] + 1) % N_CLASSES
        network.train()
        rows = np.arange(len(labels))
        for_term = (self.images, labels, rows) if self.has_term else None
        start = time.perf_counter()
        _, term = self.trainer.step(Batch(self.images, labels, for_term=for_term))
        seconds = time.perf_counter() - start
        if (term is None) == self.has_term:
            raise RuntimeError("the term was skipped, so nothing was measured")
        return seconds


def peak_memory(model: str, form: str) -> float:
    """Return the peak memory in MB of a fresh process that takes two steps.

    ``plain`` is the plain step, ``none`` takes none.
    """
    command = [sys.executable, "-m", "benchmarks.regularizer_cost", f"--memory-of={model},{form}"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(model: str, n_steps: int) -> list[Row]:
    """Return the rows of one model."""
    steppers = {("plain", 0.0): Stepper(model, None)}
    steppers |= {(form, share): Stepper(model, form, share) for form in FORMS for share in SHARES}
    for stepper in steppers.values():
        stepper.step()
    seconds = {key: [stepper.step()] for key, stepper in steppers.items()}
    for _ in range(n_steps - 1):
        for key, stepper in steppers.items():
            seconds[key].append(stepper.step())
    plain, start = np.array(seconds["plain", 0.0]), peak_memory(model, "none")
    base = peak_memory(model, "plain") - start
    title = f"{model}, {len(steppers['plain', 0.0].images)}"
    first = {"model, batch": title, "step": "plain", RIGHT: 1e3 * np.median(plain)}
    rows = [{**first, MEMORY: base}]
    for form in FORMS:
        ratios = [np.median(np.array(seconds[form, share]) / plain) for share in SHARES]
        used = peak_memory(model, form) - start
        rows.append(
            {
                "model, batch": title,
                "step": form,
                RIGHT: 1e3 * np.median(seconds[form, 1.0]),
                "of plain, all right": ratios[0],
                "of plain, 2 of 3 right": ratios[1],
                MEMORY: used,
                "of plain": used / base,
            }
        )
        say(f"{title}, {form}: {ratios[0]:.2f} of plain")
    return rows


def report(results: Results) -> str:
    """Return the table in Markdown."""
    ratios = ("of plain, all right", "of plain, 2 of 3 right", "of plain")
    return page(results, {RIGHT: ".0f", MEMORY: ".0f", **dict.fromkeys(ratios, ".2f")})


def main(
    steps: Annotated[int, typer.Option(help="Batches of each kind.")] = 9,
    models: str = ",".join(MODELS),
    memory_of: Annotated[str | None, typer.Option(hidden=True, help="MODEL,FORM")] = None,
) -> None:
    """Measure each model."""
    if memory_of is not None:
        model, form = memory_of.split(",")
        stepper = Stepper(model, None if form in ("plain", "none") else form)
        for _ in range(0 if form == "none" else 2):
            stepper.step()
        print(memory("VmHWM"))  # not getrusage: that begins with what the parent process had
        return
    rows = [row for model in models.split(",") for row in measure(model, steps)]
    print(report(save("regularizer_cost", {"Steps": rows})))


if __name__ == "__main__":
    typer.run(main)
