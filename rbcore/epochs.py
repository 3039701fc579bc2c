"""What one epoch does to a network: batches in a seeded order, augmented, and stochastic gradient descent on them.

Every epoch has its own random streams, made of the seed and its number: one for the order and the augmentation, one for the
dropout. So an epoch is the same whether or not those before it ran in this process.
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
from rbcore.running import Cancel, Progress, stop_if
from rbcore.store import Facts, sha256_of_facts, write_atomically

EVALUATION_BATCH = 256


@dataclass
class Trainer:
    """A network in training: what changes from step to step, and nothing else."""

    network: nn.Module
    dataset: Dataset
    recipe: Recipe
    device: torch.device

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

    def train_epoch(self, epoch: int, so_far: str, progress: Progress, cancel: Cancel) -> float:
        """Train one epoch, counted from 1; leave the network in evaluation mode and return the mean loss."""
        streams = np.random.SeedSequence([self.dataset.seed, epoch]).spawn(2)
        random = np.random.default_rng(streams[0])
        torch.manual_seed(int(streams[1].generate_state(1)[0]))
        n_steps = self.recipe.epochs * self.steps_an_epoch
        order = random.permutation(self.rows)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        self.network.train()
        for step in range(self.steps_an_epoch):
            stop_if(cancel)
            done = (epoch - 1) * self.steps_an_epoch + step
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(done, n_steps)
            batch = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            images, labels = images_and_labels(self.dataset, batch, torch.device("cpu"))
            images = augmented(images, self.recipe, random)
            total += self._step(images.to(self.device), labels.to(self.device)) * len(batch)
            progress(done + 1, n_steps, f"training epoch {epoch} of {self.recipe.epochs}{so_far}")
        self.network.eval()
        loss = float(total) / min(len(self.rows), self.steps_an_epoch * self.recipe.batch_size)
        if not np.isfinite(loss):
            raise TrainingError(
                f"The loss is no longer finite in epoch {epoch}; lower the learning rate ({self.recipe.learning_rate:g})."
            )
        return loss

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Take one step on a batch; where it does not fit into memory, in parts of half the size that add up to the same."""
        while True:
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
                self.optimizer.step()
                return loss
            except torch.OutOfMemoryError:
                if self.micro_batch == 1:
                    raise TrainingError(
                        "Not even one image fits into memory; load a smaller size or use --device cpu."
                    ) from None
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
