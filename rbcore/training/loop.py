"""What one epoch does to a network: batches in a seeded order, augmented, and stochastic gradient descent on them.

Every epoch has its own random streams, made of the seed and its number: one for the order and the
augmentation, one for the dropout, one for what a mitigation draws. So an epoch is the same whether
or not those before it ran in this process, and the cross entropy of a mitigated run sees the very
batches, augmented and dropped out alike, of the plain one. Where a batch holds too few of a group,
others of the group join it for the regularizer's term alone
(`rbcore.training.mitigations.regularizer.oversampled_rows`).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
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
from rbcore.training.mitigations import Applied
from rbcore.training.mitigations.adversarial import AdversarialTraining, perturbed, random_starts
from rbcore.training.mitigations.regularizer import GroupAssignment, add_gradient, oversampled_rows
from rbcore.training.recipes import Recipe

EVALUATION_BATCH = 256

Compared = tuple[Tensor, Tensor, Tensor]
"""Images, labels and groups on which a regularizer's term is computed."""
PLAIN = Applied()


@dataclass(frozen=True)
class Batch:
    """What one step sees, on the trainer's device.

    Attributes
    ----------
    images, labels
        Augmented, in [0, 1], shape (n, channels, height, width); int64, shape (n,).
    compared
        Under a regularizer, what its term is computed on.
    starts
        In adversarial training, where the attack of each image starts.
    weights
        Under re-weighting, of each image's cross entropy.
    """

    images: Tensor
    labels: Tensor
    compared: Compared | None = None
    starts: Tensor | None = None
    weights: Tensor | None = None


@dataclass
class Trainer:
    """A network in training: what changes from step to step, and nothing else."""

    network: nn.Module
    dataset: Dataset
    recipe: Recipe
    device: torch.device
    mitigation: Applied = PLAIN

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

        That is ``train_loss``, the mean of the cross entropy that was descended (of the attacked
        images in adversarial training, weighted under re-weighting), and ``seconds``. Under a
        regularizer also ``regularizer_term``, the term's mean, without alpha, over the
        ``regularizer_steps`` in which it could be computed (None if there were none);
        ``regularizer_clipped``, those of them whose gradient was shortened;
        ``regularizer_skipped``, the steps in which it could not. In adversarial training
        ``attack_passes``, the batches that went forward and back for its attacks. Under
        re-weighting ``largest_weight``.
        """
        started = time.perf_counter()
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
            loss, term = self._step(self._batch(batch, images, labels, own_random))
            total += loss * len(batch)
            terms += [] if term is None else [term]
            progress(done + 1, n_steps, f"training epoch {epoch} of {self.recipe.epochs}{so_far}")
        self.network.eval()
        mean_loss = float(total) / min(len(self.rows), self.steps_an_epoch * self.recipe.batch_size)
        if not np.isfinite([mean_loss, *(value for value, _ in terms)]).all():
            raise TrainingError(
                f"The loss is no longer finite in epoch {epoch}; lower the learning rate "
                f"({self.recipe.learning_rate:g}){self._other_remedy()}."
            )
        facts: Numbers = {"train_loss": mean_loss, "seconds": time.perf_counter() - started}
        if self.mitigation.sides is not None:
            facts |= {
                "regularizer_term": float(np.mean([value for value, _ in terms]))
                if terms
                else None,
                "regularizer_steps": len(terms),
                "regularizer_clipped": sum(is_clipped for _, is_clipped in terms),
                "regularizer_skipped": self.steps_an_epoch - len(terms),
            }
        if self.mitigation.attack is not None:
            facts["attack_passes"] = self.mitigation.attack.steps * self.steps_an_epoch
        if self.mitigation.weights is not None:
            facts["largest_weight"] = float(self.mitigation.weights.max())
        return facts

    def _other_remedy(self) -> str:
        """Name what of a regularizer may have made the loss explode."""
        if self.mitigation.sides is None:
            return ""
        settings = self.mitigation.sides.settings
        clip = f"its clip ({settings.clip:g})" if settings.clip else "clip its gradient (now never)"
        return f", the regularizer's weight alpha ({settings.alpha:g}) or {clip}"

    def _batch(
        self, rows: np.ndarray, images: Tensor, labels: Tensor, random: np.random.Generator
    ) -> Batch:
        """Return what a step on these rows sees: augmented images, labels, and what the mitigation adds."""
        compared = starts = weights = None
        if self.mitigation.sides is not None:
            compared = self._compared(self.mitigation.sides, rows, images, labels, random)
        if self.mitigation.attack is not None:
            starts = random_starts(tuple(images.shape), self.mitigation.attack.epsilon, random).to(
                self.device
            )
        if self.mitigation.weights is not None:
            weights = torch.as_tensor(self.mitigation.weights[rows], device=self.device)
        return Batch(images.to(self.device), labels.to(self.device), compared, starts, weights)

    def _compared(
        self,
        sides: GroupAssignment,
        batch: np.ndarray,
        images: Tensor,
        labels: Tensor,
        random: np.random.Generator,
    ) -> Compared:
        """Return a batch's images, labels and groups with those that join it for the term."""
        rows = oversampled_rows(sides.codes, batch, self.rows, random)
        if len(rows):
            more, more_labels = images_and_labels(self.dataset, rows, torch.device("cpu"))
            images = torch.cat([images, augmented(more, self.recipe, random)])
            labels = torch.cat([labels, more_labels])
        codes = torch.as_tensor(sides.codes[np.concatenate([batch, rows])])
        return images.to(self.device), labels.to(self.device), codes.to(self.device)

    def _step(self, batch: Batch) -> tuple[Tensor, tuple[float, bool] | None]:
        """Take one step on a batch and return its cross entropy and the regularizer's term.

        Where a batch does not fit into memory, it goes in parts of half the size that
        add up to the same.
        """
        while True:
            is_term = False
            try:
                self.optimizer.zero_grad(set_to_none=True)
                loss = self._add_cross_entropy(batch)
                term = None
                if self.mitigation.sides is not None and batch.compared is not None:
                    is_term = True
                    term = add_gradient(
                        self.network, *batch.compared, self.mitigation.sides, self.term_batch
                    )
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

    def _add_cross_entropy(self, batch: Batch) -> Tensor:
        """Add the gradient of a batch's cross entropy, attacked or weighted first, and return its value."""
        n_parts = -(-len(batch.images) // self.micro_batch)
        images, labels = batch.images.tensor_split(n_parts), batch.labels.tensor_split(n_parts)
        if self.mitigation.attack is not None and batch.starts is not None:
            starts = batch.starts.tensor_split(n_parts)
            images = self._attacked(self.mitigation.attack, images, labels, starts)
        weights = [None] * n_parts if batch.weights is None else batch.weights.tensor_split(n_parts)
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        for part_images, part_labels, part_weights in zip(images, labels, weights, strict=True):
            share = len(part_labels) / len(batch.labels)
            with self.autocast:
                logits = self.network(part_images)
                if part_weights is None:
                    part_loss = nn.functional.cross_entropy(logits, part_labels) * share
                else:
                    each = nn.functional.cross_entropy(logits, part_labels, reduction="none")
                    part_loss = (each * part_weights).mean() * share
            part_loss.backward()  # type: ignore[no-untyped-call]
            loss += part_loss.detach().double()
        return loss

    def _attacked(
        self,
        attack: AdversarialTraining,
        images: tuple[Tensor, ...],
        labels: tuple[Tensor, ...],
        starts: tuple[Tensor, ...],
    ) -> tuple[Tensor, ...]:
        """Return the images moved by the attack, part by part, all of them before the step changes batch statistics."""
        with self.autocast:
            return tuple(
                perturbed(self.network, *part, attack)
                for part in zip(images, labels, starts, strict=True)
            )

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
    """Return the SHA-256 of what is kept to resume a run, so that damaged weights are never trained on."""
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
    """Return the share of rows that the network, in evaluation mode and float32, classifies correctly."""
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
    """Return float32 images in [0, 1], shape (n, channels, height, width), and int64 labels, shape (n,), of some rows."""
    return torch.as_tensor(dataset.pixels(rows), device=device), torch.as_tensor(
        dataset.labels(rows), device=device
    )
