"""Estimate distances batch by batch, and believe no method: what it returns is predicted again, or it does not count.

The engine knows images, labels and a callable from images to logits. It knows no dataset, no model and no store.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rbcore.distances.base import Method, Network, Parameters
from rbcore.errors import MethodError
from rbcore.running import Cancel, never, stop_if

Pixels = Callable[[np.ndarray], np.ndarray]
"""Returns float32 images in [0, 1], shape (n, channels, height, width), for row numbers."""

BISECTIONS = 25
ANCHOR_CHUNK = 256
RANGE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Estimates:
    """What the engine found for one batch, arrays of shape (n,) in the order of `rows`.

    Attributes
    ----------
    rows
        Row numbers of the images.
    prediction
        Predicted class of the clean image.
    distance
        L2 distance in [0, 1] pixel space, float64; NaN where `status` is misclassified or failed.
    status
        ``exact | found | fallback | failed | misclassified``.
    perturbed_prediction
        Predicted class of the perturbed image; -1 where there is none.
    perturbed
        The perturbed images, float32; NaN where there is none.
    """

    rows: np.ndarray
    prediction: np.ndarray
    distance: np.ndarray
    status: np.ndarray
    perturbed_prediction: np.ndarray
    perturbed: np.ndarray


class CountedNetwork(nn.Module):
    """A network that counts images sent forward and backward, and stops between two passes if asked to."""

    def __init__(self, network: Network, cancel: Cancel = never) -> None:
        super().__init__()
        self.network = network
        self.cancel = cancel
        self.n_forward = 0
        self.n_backward = 0

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's logits, shape (n, n_classes)."""
        stop_if(self.cancel)
        self.n_forward += len(images)
        if images.requires_grad and torch.is_grad_enabled():
            images = images.view_as(images)
            images.register_hook(self._count_backward)  # type: ignore[no-untyped-call]
        logits: Tensor = self.network(images)
        return logits

    def take_counts(self) -> dict[str, int]:
        """Return the images sent forward and backward since the last call."""
        counts = {"n_forward": self.n_forward, "n_backward": self.n_backward}
        self.n_forward = self.n_backward = 0
        return counts

    def _count_backward(self, gradient: Tensor) -> None:
        self.n_backward += len(gradient)


@contextmanager
def frozen(network: Network) -> Iterator[None]:
    """Put a network into evaluation mode with frozen parameters, and restore both on the way out."""
    if not isinstance(network, nn.Module):
        yield
        return
    modes = [(module, module.training) for module in network.modules()]
    grads = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    network.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in grads:
            parameter.requires_grad_(requires_grad)


class Engine:
    """Distances of images to the decision boundary of one network by one method.

    Parameters
    ----------
    network
        Any callable from float32 images in [0, 1], shape (n, channels, height, width), to logits (n, n_classes).
    pixels, labels
        Images by row number, and the true class of every row.
    method, parameters
        As `rbcore.distances.resolve_method` returns them.
    anchors
        Row numbers among which the fallback looks for the nearest image of another predicted class. They are part of
        the result's definition, so pass the same ones whichever rows are estimated.
    device
        Where the network lies.
    cancel
        Asked before every forward pass.
    """

    def __init__(
        self,
        network: Network,
        pixels: Pixels,
        labels: np.ndarray,
        method: Method,
        parameters: Parameters,
        anchors: np.ndarray,
        device: torch.device | str = "cpu",
        cancel: Cancel = never,
    ) -> None:
        self.network = CountedNetwork(network, cancel)
        self.pixels = pixels
        self.labels = labels
        self.method = method
        self.parameters = parameters
        self.anchors = anchors
        self.device = torch.device(device)
        self._anchor_predictions: np.ndarray | None = None

    def estimate(self, rows: np.ndarray) -> Estimates:
        """Estimate the distances of one batch of rows.

        Raises
        ------
        MethodError
            If the network gives NaN or probabilities, or the method does not apply to it.
        Cancelled
            If ``cancel`` said so.
        """
        with frozen(self.network):
            return self._estimate(rows)

    def _estimate(self, rows: np.ndarray) -> Estimates:
        images, labels = self._images(rows), torch.as_tensor(self.labels[rows], device=self.device)
        low, high = float(images.min()), float(images.max())
        if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):
            raise MethodError(
                f"Images must lie in [0, 1]; these span [{low:g}, {high:g}]. Put the normalisation into the model."
            )
        images = images.clamp(0, 1)
        logits = self._logits(images)
        refuse_unusable(logits)
        prediction = logits.argmax(1)
        correct = torch.nonzero(prediction == labels).flatten()
        n = len(rows)
        distance = np.full(n, math.nan)
        status = np.full(n, "misclassified", dtype=object)
        perturbed_prediction = np.full(n, -1)
        perturbed = np.full(images.shape, np.nan, np.float32)
        if len(correct):
            found = self._attack(images[correct], labels[correct])
            at = correct.cpu().numpy()
            distance[at], status[at], perturbed_prediction[at] = found.distance, found.status, found.prediction
            perturbed[at] = found.perturbed.cpu().numpy()
        return Estimates(rows, prediction.cpu().numpy(), distance, status, perturbed_prediction, perturbed)

    def _attack(self, images: Tensor, labels: Tensor) -> "_Found":
        proposal = self.method.run(self.network, images, labels, **self.parameters)
        if proposal.distance is not None:
            prediction = self._logits(proposal.perturbed.nan_to_num()).argmax(1)
            distance = proposal.distance.cpu().numpy()
            status = np.where(np.isfinite(distance), "exact", "failed").astype(object)  # no other class: no boundary
            distance = np.where(np.isfinite(distance), distance, math.nan)
            return _Found(distance, status, prediction.cpu().numpy(), proposal.perturbed)
        perturbed = proposal.perturbed.clamp(0, 1)
        prediction = self._verified_prediction(perturbed, labels)
        status = np.where((prediction >= 0).cpu().numpy(), "found", "failed").astype(object)
        missed = torch.nonzero(prediction < 0).flatten()
        if len(missed):
            perturbed, prediction = perturbed.clone(), prediction.clone()
            perturbed[missed] = self._fall_back(images[missed], labels[missed])
            prediction[missed] = self._verified_prediction(perturbed[missed], labels[missed])
            status[missed[prediction[missed] >= 0].cpu().numpy()] = "fallback"
        perturbed = torch.where((prediction >= 0).view(-1, 1, 1, 1), perturbed, torch.nan)
        distance = (perturbed.double() - images.double()).flatten(1).norm(dim=1)
        return _Found(distance.cpu().numpy(), status, prediction.cpu().numpy(), perturbed)

    def _verified_prediction(self, perturbed: Tensor, labels: Tensor) -> Tensor:
        """Return each image's predicted class, or -1 where it is no adversarial: NaN, constant, or not misclassified.

        An image counts only if it is misclassified in this batch *and* alone, since a sample on the boundary flips with
        the size of its batch.
        """
        flat = perturbed.flatten(1)
        usable = flat.isfinite().all(1) & (flat.amax(1) > flat.amin(1))
        together = self._logits(perturbed.nan_to_num()).argmax(1)
        candidates = torch.nonzero(usable & (together != labels)).flatten()
        verified = torch.full_like(labels, -1)
        for row in candidates.tolist():
            alone = self._logits(perturbed[row : row + 1]).argmax(1)
            if alone[0] != labels[row]:
                verified[row] = alone[0]
        return verified

    def _fall_back(self, images: Tensor, labels: Tensor) -> Tensor:
        """Walk from each image to the nearest anchor that is predicted as another class, and bisect to the boundary."""
        target = self._nearest_anchors(images, labels)
        outside = torch.ones(len(images), device=self.device)
        inside = torch.zeros_like(outside)
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            crossed = self._logits(_between(images, target, middle)).argmax(1) != labels
            outside, inside = torch.where(crossed, middle, outside), torch.where(crossed, inside, middle)
        return _between(images, target, outside + 1e-4 * (1 - outside))

    def _nearest_anchors(self, images: Tensor, labels: Tensor) -> Tensor:
        chunks = [self.anchors[start : start + ANCHOR_CHUNK] for start in range(0, len(self.anchors), ANCHOR_CHUNK)]
        if self._anchor_predictions is None:
            predictions = [self._logits(self._images(chunk)).argmax(1).cpu().numpy() for chunk in chunks]
            self._anchor_predictions = np.concatenate(predictions) if predictions else np.empty(0, np.int64)
        nearest = torch.full_like(images, torch.nan)
        closest = torch.full((len(images),), torch.inf, device=self.device)
        for number, chunk in enumerate(chunks):
            anchors = self._images(chunk)
            classes = torch.as_tensor(
                self._anchor_predictions[number * ANCHOR_CHUNK :][: len(chunk)], device=self.device
            )
            gaps = torch.cdist(images.flatten(1), anchors.flatten(1))
            gaps = torch.where(classes[None, :] != labels[:, None], gaps, torch.inf)
            gap, which = gaps.min(dim=1)
            closer = gap < closest
            nearest[closer], closest = anchors[which[closer]], torch.where(closer, gap, closest)
        return nearest

    def _images(self, rows: np.ndarray) -> Tensor:
        return torch.as_tensor(self.pixels(rows), device=self.device)

    def _logits(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.network(images)
        return logits


@dataclass(frozen=True)
class _Found:
    distance: np.ndarray
    status: np.ndarray
    prediction: np.ndarray
    perturbed: Tensor


def _between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    return start + share.view(-1, 1, 1, 1) * (end - start)


def refuse_unusable(logits: Tensor) -> None:
    """Raise `MethodError` for outputs no distance can be measured on: NaN or infinity, or probabilities.

    A saturated softmax has no gradient, so attacks fail on it in ways that look like success.
    """
    if not logits.isfinite().all():
        raise MethodError(
            "The model gives NaN or infinite outputs for clean images; its weights or normalisation are broken."
        )
    sums_to_one = (logits.sum(1) - 1).abs().max() < 1e-4
    if logits.min() >= 0 and logits.max() <= 1 and sums_to_one:
        raise MethodError("The model gives probabilities; remove its softmax, since distances need logits.")


def in_batches(rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the rows in batches of at most ``batch_size``."""
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


def estimate_arrays(
    network: Network,
    images: np.ndarray,
    labels: np.ndarray,
    method: Method,
    parameters: Parameters,
    *,
    batch_size: int = 128,
    anchors: np.ndarray | None = None,
    **engine: Any,
) -> Estimates:
    """Estimate distances of images in memory, shape (n, channels, height, width), to any callable's boundary.

    ``anchors`` are row numbers as in `Engine`; all of the images where none are given.
    """
    rows = np.arange(len(images))
    anchors = rows if anchors is None else anchors
    run = Engine(network, lambda which: images[which], labels, method, parameters, anchors, **engine)
    parts = [run.estimate(batch) for batch in in_batches(rows, batch_size)]
    return Estimates(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Estimates.__dataclass_fields__}
    )
