"""What one epoch does to a network: seeded batches, augmented, and gradient descent on them.

Every epoch has its own random streams, made of the seed and its number: one for the order and the
augmentation, one for the dropout, one for what a mitigation draws. So an epoch is the same whether
or not those before it ran in this process, and the cross entropy of a mitigated run sees the very
batches, augmented and dropped out alike, of the plain one. What a mitigation does is in its
`rbcore.training.hooks.Hooks`; the loop knows none by name.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
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
from rbcore.runtime import Cancel, Progress, stop_if
from rbcore.store import Numbers, sha256_of_facts, write_atomically
from rbcore.training.hooks import PLAIN, Hooks, Term
from rbcore.training.recipes import Recipe

EVALUATION_BATCH = 256

TermBatch = tuple[Tensor, Tensor, np.ndarray]
"""Images, labels and row numbers on which a further term of the loss is computed."""


@dataclass(frozen=True)
class Batch:
    """What one step sees, on the trainer's device.

    Attributes
    ----------
    images, labels
        Augmented, in [0, 1], shape (n, channels, height, width); int64, shape (n,).
    drawn
        One value an image that the mitigation needs, shape (n, ...).
    for_term
        What a further term of the loss is computed on.
    """

    images: Tensor
    labels: Tensor
    drawn: Tensor | None = None
    for_term: TermBatch | None = None


@dataclass
class Trainer:
    """A network in training: what changes from step to step, and nothing else."""

    network: nn.Module
    dataset: Dataset
    recipe: Recipe
    device: torch.device
    hooks: Hooks = PLAIN

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
        )  # batch normalization cannot train on a last batch of one
        self.micro_batch = recipe.batch_size
        self.term_batch: int | None = None  # as many as there are

    def train_epoch(self, epoch: int, so_far: str, progress: Progress, cancel: Cancel) -> Numbers:
        """Train one epoch, counted from 1.

        Leave the network in evaluation mode and return what the history says of it.

        That is ``train_loss``, the mean of the loss that was descended, a further term apart;
        ``seconds``; and what the mitigation's ``history`` says.
        """
        started = time.perf_counter()
        streams = np.random.SeedSequence([self.dataset.seed, epoch]).spawn(3)
        random, own_random = (np.random.default_rng(streams[which]) for which in (0, 2))
        torch.manual_seed(int(streams[1].generate_state(1)[0]))
        n_steps = self.recipe.epochs * self.steps_an_epoch
        order = random.permutation(self.rows)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        terms: list[Term] = []
        self.network.train()
        for step in range(self.steps_an_epoch):
            stop_if(cancel)
            done = (epoch - 1) * self.steps_an_epoch + step
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(done, n_steps)
            batch = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            images, labels = images_and_labels(self.dataset, batch, torch.device("cpu"))
            images = augmented(images, self.recipe, random)
            loss, term = self.step(self._batch(batch, images, labels, own_random))
            total += loss * len(batch)
            terms += [] if term is None else [term]
            progress(done + 1, n_steps, f"training epoch {epoch} of {self.recipe.epochs}{so_far}")
        self.network.eval()
        mean_loss = float(total) / min(len(self.rows), self.steps_an_epoch * self.recipe.batch_size)
        if not np.isfinite([mean_loss, *(value for value, _ in terms)]).all():
            raise TrainingError(
                f"The loss is no longer finite in epoch {epoch}; lower the learning rate "
                f"({self.recipe.learning_rate:g}){self.hooks.remedy}."
            )
        facts: Numbers = {"train_loss": mean_loss, "seconds": time.perf_counter() - started}
        return facts | self.hooks.history(terms, self.steps_an_epoch)

    def _batch(
        self, rows: np.ndarray, images: Tensor, labels: Tensor, random: np.random.Generator
    ) -> Batch:
        """Return what a step on these rows sees; ``random`` is the mitigation's own stream."""
        for_term = drawn = None
        if self.hooks.term is not None:
            for_term = self._for_term(rows, images, labels, random)
        if self.hooks.draw is not None:
            drawn = self.hooks.draw(rows, images, random).to(self.device)
        return Batch(images.to(self.device), labels.to(self.device), drawn, for_term)

    def _for_term(
        self, batch: np.ndarray, images: Tensor, labels: Tensor, random: np.random.Generator
    ) -> TermBatch:
        """Return a batch's images, labels and rows with those that join it for the term."""
        rows = batch[:0]
        if self.hooks.joined_rows is not None:
            rows = self.hooks.joined_rows(batch, self.rows, random)
        if len(rows):
            more, more_labels = images_and_labels(self.dataset, rows, torch.device("cpu"))
            images = torch.cat([images, augmented(more, self.recipe, random)])
            labels = torch.cat([labels, more_labels])
        return images.to(self.device), labels.to(self.device), np.concatenate([batch, rows])

    def step(self, batch: Batch) -> tuple[Tensor, Term | None]:
        """Take one step on a batch and return its loss and the further term, if there is one.

        Where a batch does not fit into memory, it goes in parts of half the size that
        add up to the same.
        """
        while True:
            is_term = False
            try:
                self.optimizer.zero_grad(set_to_none=True)
                loss = self._add_gradient(batch)
                term = None
                if self.hooks.term is not None and batch.for_term is not None:
                    is_term = True
                    term = self.hooks.term(self.network, *batch.for_term, self.term_batch)
                self.optimizer.step()
                return loss, term
            except torch.OutOfMemoryError:
                if (self.term_batch if is_term else self.micro_batch) == 1:
                    raise TrainingError(
                        "Not even one image fits into memory; load a smaller size "
                        "or use --device cpu."
                    ) from None
                # Apart, so that the cross entropy and its batch statistics stay
                # those of the plain run.
                if is_term:
                    self.term_batch = -(-(self.term_batch or len(batch.images)) // 2)
                else:
                    self.micro_batch = -(-self.micro_batch // 2)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    def _add_gradient(self, batch: Batch) -> Tensor:
        """Add the gradient of a batch's loss, the further term apart, and return its value."""
        n_parts = -(-len(batch.images) // self.micro_batch)
        images, labels = batch.images.tensor_split(n_parts), batch.labels.tensor_split(n_parts)
        drawn: Sequence[Tensor | None] = [None] * n_parts
        if batch.drawn is not None:
            drawn = batch.drawn.tensor_split(n_parts)
        if self.hooks.images is not None:
            with self.autocast:
                images = tuple(
                    self.hooks.images(self.network, *part)
                    for part in zip(images, labels, drawn, strict=True)
                )
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        for part_images, part_labels, part_drawn in zip(images, labels, drawn, strict=True):
            share = len(part_labels) / len(batch.labels)
            with self.autocast:
                logits = self.network(part_images)
                part_loss = self.hooks.loss(logits, part_labels, part_drawn) * share
            part_loss.backward()  # type: ignore[no-untyped-call]
            loss += part_loss.detach().double()
        return loss

    def keep_for_resuming(
        self, path: Path, facts: Mapping[str, object], history: list[Numbers]
    ) -> None:
        """Write weights, momentum and history of the last finished epoch."""
        tensors = {f"weights.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum.{name}"] = momentum
        stored = {
            name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()
        }
        metadata = {"facts": sha256_of_facts(facts), "history": json.dumps(history)}
        metadata["seal"] = _seal(metadata, stored)
        write_atomically(
            path,
            lambda temporary: safetensors.torch.save_file(stored, os.fspath(temporary), metadata),
        )

    def resume(
        self, path: Path, facts: Mapping[str, object], is_kept: Callable[[int], bool]
    ) -> list[Numbers]:
        """Take up the run that ``path`` holds, and return the history of its finished epochs.

        It is left alone if it is another run or damaged, or if ``is_kept(epochs done)`` says that
        checkpoints are missing that are wanted now.
        """
        with (
            suppress(OSError, safetensors.SafetensorError, KeyError, ValueError),
            safetensors.safe_open(path, "pt") as file,
        ):
            metadata = file.metadata()
            history: list[Numbers] = json.loads(metadata["history"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            seal = metadata.pop("seal")
            is_wanted = metadata["facts"] == sha256_of_facts(facts) and is_kept(len(history))
            if is_wanted and seal == _seal(metadata, tensors):
                self.network.load_state_dict(
                    {name: tensors[f"weights.{name}"] for name in self.network.state_dict()}
                )
                for name, parameter in self.network.named_parameters():
                    if f"momentum.{name}" in tensors:
                        self.optimizer.state[parameter]["momentum_buffer"] = tensors[
                            f"momentum.{name}"
                        ].to(self.device)
                return history
        return []


def _seal(metadata: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 of what is kept to resume a run: damaged weights are not trained on."""
    digests = {
        name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
        for name, tensor in tensors.items()
    }
    return sha256_of_facts({**metadata, "tensors": digests})


def augmented(images: Tensor, recipe: Recipe, random: np.random.Generator) -> Tensor:
    """Return images (n, channels, height, width) mirrored and shifted at random as the recipe says.

    Edges are repeated.
    """
    n, _, height, width = images.shape
    if recipe.flip:
        is_mirrored = torch.as_tensor(random.random(n) < 0.5)
        images = torch.where(is_mirrored[:, None, None, None], images.flip(3), images)
    largest = round(recipe.shift * max(height, width))
    if largest:
        padded = nn.functional.pad(images, (largest,) * 4, mode="replicate")
        offsets = torch.as_tensor(random.integers(0, 2 * largest + 1, size=(2, n, 1)))
        rows, columns = offsets[0] + torch.arange(height), offsets[1] + torch.arange(width)
        images = padded[
            torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]
        ].permute(0, 3, 1, 2)
    return images


def accuracy(network: nn.Module, dataset: Dataset, rows: np.ndarray, device: torch.device) -> float:
    """Return the share of rows that the network classifies correctly, evaluated in float32."""
    return int(
        (predicted_classes(network, dataset, rows, device) == dataset.labels(rows)).sum()
    ) / len(rows)


def predicted_classes(
    network: nn.Module, dataset: Dataset, rows: np.ndarray, device: torch.device
) -> np.ndarray:
    """Return the predicted class of each row, int64, by a network in evaluation mode."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(rows), EVALUATION_BATCH):
            images, _ = images_and_labels(dataset, rows[start : start + EVALUATION_BATCH], device)
            parts.append(network(images).argmax(1).cpu().numpy())
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def images_and_labels(
    dataset: Dataset, rows: np.ndarray, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return images and labels of some rows.

    Images are float32 in [0, 1], shape (n, channels, height, width); labels int64, shape (n,).
    """
    return torch.as_tensor(dataset.pixels(rows), device=device), torch.as_tensor(
        dataset.labels(rows), device=device
    )
