"""What one epoch does to a network: batches in a seeded order, augmented, and stochastic gradient descent on them.

Every epoch has its own random streams, made of the seed and its number: one for the order and the augmentation, one for the
dropout, one for what a regularizer draws. So an epoch is the same whether or not those before it ran in this process, and the
cross entropy of a regularised run sees the very batches, augmented and dropped out alike, of the plain one. Where a batch holds too
few of a group, others of the group join it for the regularizer's term alone (`rbcore.regularizer.companions`).
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from rbcore.datasets import Dataset
from rbcore.errors import TrainingError
from rbcore.recipes import Recipe
from rbcore.regularizer import Sides, add_gradient, companions
from rbcore.running import Cancel, Progress, stop_if
from rbcore.store import Facts, sha256_of_facts, write_atomically

EVALUATION_BATCH = 256

Compared = tuple[Tensor, Tensor, Tensor]
"""Images, labels and groups on which a regularizer's term is computed."""


@dataclass
class Trainer:
    """A network in training: what changes from step to step, and nothing else."""

    network: nn.Module
    dataset: Dataset
    recipe: Recipe
    device: torch.device
    sides: Sides | None = None

    def __post_init__(self) -> None:
        on_gpu = self.device.type == "cuda"
        self.network.to(self.device)
        if on_gpu:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.autocast = (
            torch.autocast("cuda", dtype=torch.bfloat16, enabled=True)
            if on_gpu
            else torch.autocast("cpu", enabled=False)
        )
        recipe = self.recipe
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self.rows = np.sort(self.dataset.rows("train"))
        n_full, rest = divmod(len(self.rows), recipe.batch_size)
        self.steps_an_epoch = n_full + (
            rest > 1 or n_full == 0
        )  # batch normalisation cannot train on a last batch of one
        self.micro_batch = recipe.batch_size
        self.term_batch: int | None = None  # as many as there are

    def train_epoch(self, epoch: int, so_far: str, progress: Progress, cancel: Cancel) -> Facts:
        """Train one epoch, counted from 1; leave the network in evaluation mode and return what the history says of it.

        That is ``train_loss``, the mean cross entropy; under a regularizer also ``regularizer_term``, the term's mean, without
        alpha, over the ``regularizer_steps`` in which it could be computed (None if there were none); ``regularizer_clipped``, those
        of them whose gradient was shortened; ``regularizer_skipped``, the steps in which it could not.
        """
        streams = np.random.SeedSequence([self.dataset.seed, epoch]).spawn(3)
        random, own_random = (np.random.default_rng(streams[which]) for which in (0, 2))
        torch.manual_seed(int(streams[1].generate_state(1)[0]))
        n_steps = self.recipe.epochs * self.steps_an_epoch
        order = random.permutation(self.rows)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        terms: list[tuple[float, bool]] = []
        self.network.train()
        for step in range(self.steps_an_epoch):
            stop_if(cancel)
            done = (epoch - 1) * self.steps_an_epoch + step
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(done, n_steps)
            batch = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            images, labels = images_and_labels(self.dataset, batch, torch.device("cpu"))
            images = augmented(images, self.recipe, random)
            compared = None if self.sides is None else self._compared(self.sides, batch, images, labels, own_random)
            loss, term = self._step(images.to(self.device), labels.to(self.device), compared)
            total += loss * len(batch)
            terms += [] if term is None else [term]
            progress(done + 1, n_steps, f"training epoch {epoch} of {self.recipe.epochs}{so_far}")
        self.network.eval()
        mean_loss = float(total) / min(len(self.rows), self.steps_an_epoch * self.recipe.batch_size)
        if not np.isfinite([mean_loss, *(value for value, _ in terms)]).all():
            raise TrainingError(
                f"The loss is no longer finite in epoch {epoch}; lower the learning rate ({self.recipe.learning_rate:g})."
            )
        if self.sides is None:
            return {"train_loss": mean_loss}
        return {
            "train_loss": mean_loss,
            "regularizer_term": float(np.mean([value for value, _ in terms])) if terms else None,
            "regularizer_steps": len(terms),
            "regularizer_clipped": sum(is_clipped for _, is_clipped in terms),
            "regularizer_skipped": self.steps_an_epoch - len(terms),
        }

    def _compared(
        self, sides: Sides, batch: np.ndarray, images: Tensor, labels: Tensor, random: np.random.Generator
    ) -> Compared:
        """Return a batch's images, labels and groups with those that join it for the term."""
        rows = companions(sides.codes, batch, self.rows, random)
        if len(rows):
            more, more_labels = images_and_labels(self.dataset, rows, torch.device("cpu"))
            images = torch.cat([images, augmented(more, self.recipe, random)])
            labels = torch.cat([labels, more_labels])
        codes = torch.as_tensor(sides.codes[np.concatenate([batch, rows])])
        return images.to(self.device), labels.to(self.device), codes.to(self.device)

    def _step(
        self, images: Tensor, labels: Tensor, compared: Compared | None
    ) -> tuple[Tensor, tuple[float, bool] | None]:
        """Take one step on a batch and return its cross entropy and the regularizer's term.

        Where a batch does not fit into memory, it goes in parts of half the size that add up to the same.
        """
        while True:
            is_term = False
            try:
                self.optimizer.zero_grad(set_to_none=True)
                loss = torch.zeros((), dtype=torch.float64, device=self.device)
                n_parts = -(-len(images) // self.micro_batch)
                for part_images, part_labels in zip(
                    images.tensor_split(n_parts), labels.tensor_split(n_parts), strict=True
                ):
                    share = len(part_labels) / len(labels)
                    with self.autocast:
                        part_loss = nn.functional.cross_entropy(self.network(part_images), part_labels) * share
                    part_loss.backward()  # type: ignore[no-untyped-call]
                    loss += part_loss.detach().double()
                term = None
                if self.sides is not None and compared is not None:
                    is_term = True
                    term = add_gradient(self.network, *compared, self.sides, self.term_batch)
                self.optimizer.step()
                return loss, term
            except torch.OutOfMemoryError:
                if (self.term_batch if is_term else self.micro_batch) == 1:
                    raise TrainingError(
                        "Not even one image fits into memory; load a smaller size or use --device cpu."
                    ) from None
                if is_term:  # apart, so that the cross entropy and its batch statistics stay those of the plain run
                    self.term_batch = -(-(self.term_batch or len(images)) // 2)
                else:
                    self.micro_batch = -(-self.micro_batch // 2)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    def keep_for_resuming(self, path: Path, facts: Facts, history: list[Facts]) -> None:
        """Write weights, momentum and history of the last finished epoch."""
        tensors = {f"weights.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum.{name}"] = momentum
        stored = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        metadata = {"facts": sha256_of_facts(facts), "history": json.dumps(history)}
        write_atomically(path, lambda temporary: safetensors.torch.save_file(stored, os.fspath(temporary), metadata))

    def resume(self, path: Path, facts: Facts, is_kept: Callable[[int], bool]) -> list[Facts]:
        """Take up the run that ``path`` holds, and return the history of its finished epochs.

        It is left alone if it is another run, or if ``is_kept(epochs done)`` says that checkpoints are missing that are
        wanted now.
        """
        with (
            suppress(OSError, safetensors.SafetensorError, KeyError, ValueError),
            safetensors.safe_open(path, "pt") as file,
        ):
            metadata = file.metadata()
            history: list[Facts] = json.loads(metadata["history"])
            if metadata["facts"] == sha256_of_facts(facts) and is_kept(len(history)):
                tensors = {name: file.get_tensor(name).to(self.device) for name in file.keys()}  # noqa: SIM118
                self.network.load_state_dict({name: tensors[f"weights.{name}"] for name in self.network.state_dict()})
                for name, parameter in self.network.named_parameters():
                    if f"momentum.{name}" in tensors:
                        self.optimizer.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"]
                return history
        return []


def augmented(images: Tensor, recipe: Recipe, random: np.random.Generator) -> Tensor:
    """Return images (n, channels, height, width) mirrored and shifted at random as the recipe says; edges are repeated."""
    n, _, height, width = images.shape
    if recipe.flip:
        is_mirrored = torch.as_tensor(random.random(n) < 0.5)
        images = torch.where(is_mirrored[:, None, None, None], images.flip(3), images)
    largest = round(recipe.shift * max(height, width))
    if largest:
        padded = nn.functional.pad(images, (largest,) * 4, mode="replicate")
        offsets = torch.as_tensor(random.integers(0, 2 * largest + 1, size=(2, n, 1)))
        rows, columns = offsets[0] + torch.arange(height), offsets[1] + torch.arange(width)
        images = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return images


def accuracy(network: nn.Module, dataset: Dataset, rows: np.ndarray, device: torch.device) -> float:
    """Return the share of rows that the network, in evaluation mode and float32, classifies correctly."""
    n_correct = 0
    with torch.no_grad():
        for start in range(0, len(rows), EVALUATION_BATCH):
            images, labels = images_and_labels(dataset, rows[start : start + EVALUATION_BATCH], device)
            n_correct += int((network(images).argmax(1) == labels).sum())
    return n_correct / len(rows)


def images_and_labels(dataset: Dataset, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return float32 images in [0, 1], shape (n, channels, height, width), and int64 labels, shape (n,), of some rows."""
    return torch.as_tensor(dataset.pixels(rows), device=device), torch.as_tensor(dataset.labels(rows), device=device)
