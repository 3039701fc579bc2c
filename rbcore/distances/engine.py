"""Estimate distances batch by batch, and believe no method.

What a method returns is predicted again, or it does not count.

The engine knows images, labels and a callable from images to logits. It knows no dataset, no
model and no store.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rbcore.distances.base import AttackResult, Batch, Method, Network
from rbcore.distances.batching import fastest_size, halved, in_batches, in_passes, largest_size
from rbcore.distances.fallback import Fallback, largest_logits
from rbcore.distances.networks import ROUNDING, CheckedNetwork, has_gradient
from rbcore.distances.samples import Samples
from rbcore.errors import MethodError
from rbcore.measures.tables import Bound, Status
from rbcore.norms import lengths
from rbcore.outputs import N_CHECKED, refuse_not_finite
from rbcore.outputs.modes import evaluating
from rbcore.parameters import Value
from rbcore.runtime import is_out_of_memory

RANGE_TOLERANCE = 1e-5
EXTRAPOLATION_FACTORS = (1.001, 1.01, 1.1)
"""An image that lies on the boundary within rounding is moved on by these factors, one after the
other, until it is across.
"""
A_FEW = 8
"""Images of which one at least should have a gradient, before more are asked."""
PASSES_A_BATCH = 4
"""Passes whose images a method gets at a time, so that it can refill a pass as
images are finished.
"""
FORWARD_PASSES_A_BATCH = 128
"""Passes a batch for a method that says how many an image takes: so few that little is lost
where it is stopped.
"""


@dataclass(frozen=True)
class Estimates:
    """What the engine found for one batch, arrays of shape (n,) in the order of `rows`.

    Attributes
    ----------
    rows
        Row numbers of the images.
    prediction
        Class of the clean image by the network, or by the smoothed classifier g for
        a method about it.
    distance
        In the norm of the method, in [0, 1] pixel space, float64; NaN where `status` is
        misclassified or failed.
    status
        ``exact | found | fallback | failed | misclassified | certified | abstained | overruled``.
    perturbed_prediction
        The network's class of the perturbed image; -1 where there is none.
    perturbed
        The perturbed images, float32; NaN where there is none.
    columns
        The method's further columns, int64; -1 where there is no value.
    """

    rows: np.ndarray
    prediction: np.ndarray
    distance: np.ndarray
    status: np.ndarray
    perturbed_prediction: np.ndarray
    perturbed: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)


class Engine:
    """Distances of images to the decision boundary of one network by one method.

    Parameters
    ----------
    network
        A callable as `CheckedNetwork` takes one, or such a network, which knows its device, what
        its outputs are and whether to stop.
    samples
        The data.
    method, parameters
        As `rbcore.distances.resolve_method` returns them.
    batch_size
        Images a pass through the network; found by measurement where not given, and halved
        where memory runs out.
    """

    def __init__(
        self,
        network: Network,
        samples: Samples,
        method: Method,
        parameters: Mapping[str, Value],
        *,
        batch_size: int | None = None,
    ) -> None:
        known = network if isinstance(network, CheckedNetwork) else CheckedNetwork(network)
        self.network: CheckedNetwork = known
        self.samples = samples
        self.method = method
        self.parameters = parameters
        self.fallback = Fallback(self.network, samples, method.norm)
        self._batch_size = batch_size
        self._has_gradient = False

    @property
    def batch_size(self) -> int:
        """Images a pass: as given, or found by measuring for about a second.

        For a method without backward passes as many as memory allows; it may find a
        faster number below.
        """
        if self._batch_size is None:
            image = self._images(self.samples.fallback_targets[:1])
            with evaluating(self.network, frozen=True):
                self._check_outputs()
                fused = self.network.fused(image)
                has_backward = self.method.passes is None
                most = largest_size(fused, image, backward=has_backward)
                self._batch_size = (
                    fastest_size(fused, image, most, backward=True) if has_backward else most
                )
            self.network.take_counts()
        return self._batch_size

    @property
    def rows_a_batch(self) -> int:
        """Rows to estimate at a time, so that passes can be refilled while memory stays bounded."""
        if self.method.passes is None:
            return PASSES_A_BATCH * self.batch_size
        return max(
            1, FORWARD_PASSES_A_BATCH * self.batch_size // self.method.passes(self.parameters)
        )

    def estimate(self, rows: np.ndarray, done: Callable[[int], None] = lambda n: None) -> Estimates:
        """Estimate the distances of one batch of rows.

        Parameters
        ----------
        rows
            Row numbers.
        done
            Called with the number of rows finished since the last call; a negative number takes
            back what is done again.

        Raises
        ------
        MethodError
            If the network gives NaN or probabilities, the method does not apply to it, or one image
            does not fit into memory.
        Cancelled
            If ``cancel`` said so.
        """
        while True:
            finished = _Finished(done)
            try:
                with evaluating(self.network, frozen=True):
                    return self._estimate(rows, finished)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            finished.take_back()
            self._batch_size = halved(self.batch_size)
            if self.network.device.type == "cuda":
                torch.cuda.empty_cache()

    def _estimate(self, rows: np.ndarray, finished: "_Finished") -> Estimates:
        images, labels = (
            self._images(rows),
            torch.as_tensor(self.samples.labels[rows], device=self.network.device),
        )
        low, high = float(images.min()), float(images.max())
        if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):
            raise MethodError(
                f"Images must lie in [0, 1]; these span [{low:g}, {high:g}]. Put the "
                "normalization into the model."
            )
        images = images.clamp(0, 1)
        self._check_outputs()
        logits = self._logits(images)
        refuse_not_finite(logits)
        classes = logits.argmax(1)
        taken = torch.nonzero((classes == labels) | self.method.smoothed).flatten()
        prediction = classes.cpu().numpy()
        n = len(rows)
        distance = np.full(n, math.nan)
        status = np.full(n, Status.MISCLASSIFIED, dtype=object)
        perturbed_prediction = np.full(n, -1)
        perturbed = np.full(images.shape, np.nan, np.float32)
        columns = {name: np.full(n, -1, np.int64) for name in self.method.columns}
        finished(n - len(taken))
        if len(taken):
            at = taken.cpu().numpy()
            batch = Batch(
                images[taken],
                labels[taken],
                logits[taken],
                self.samples.seeds[rows[at]],
                self.batch_size,
                finished,
            )
            found = self._found(batch)
            if found.clean_prediction is not None:
                prediction[at] = found.clean_prediction
            distance[at], status[at], perturbed_prediction[at] = (
                found.distance,
                found.status,
                found.prediction,
            )
            if found.perturbed is not None:
                perturbed[at] = found.perturbed.cpu().numpy()
            for name, values in found.columns.items():
                columns[name][at] = values
        finished(n - finished.n)
        return Estimates(
            rows, prediction, distance, status, perturbed_prediction, perturbed, columns
        )

    def _check_outputs(self) -> None:
        """Check the contract of the network's output, the first time."""
        self.network.check(self._images(self.samples.fallback_targets[:N_CHECKED]).clamp(0, 1))

    def _found(self, batch: Batch) -> "_Found":
        if self.method.bound == Bound.UPPER:
            self._refuse_flat()
        proposal = self.method.run(self.network, batch, **self.parameters)
        if proposal.status is None:
            return self._verified(batch, proposal)
        nothing = np.full(len(batch.labels), -1)
        prediction = nothing if proposal.perturbed is None else self._predicted(proposal.perturbed)
        perturbed = proposal.perturbed
        if proposal.distance is None:
            raise MethodError(
                f"{self.method.name} states what it found, but no distance; its "
                "`run` must return both."
            )
        if self.method.smoothed and proposal.prediction is None:
            raise MethodError(
                f"{self.method.name} is about g, but does not say which class g has "
                "for the clean images."
            )
        columns = dict(proposal.columns)
        return _Found(
            proposal.distance, proposal.status, prediction, perturbed, columns, proposal.prediction
        )

    def _refuse_flat(self) -> None:
        """Raise `MethodError` once if the logits change with none of the fallback targets.

        Then no attack by gradients can work.
        """
        if not self._has_gradient:
            chunks = in_batches(self.samples.fallback_targets, min(self.batch_size, A_FEW))
            self._has_gradient = any(
                has_gradient(self.network, self._images(chunk)) for chunk in chunks
            )
        if not self._has_gradient:
            raise MethodError(
                "The model's outputs have a zero gradient for every image (rounded, detached or "
                "saturated logits), so no attack by gradients can find its boundary. Give the "
                "network whose logits change with the image."
            )

    def _predicted(self, perturbed: Tensor) -> np.ndarray:
        """Return the network's classes of perturbed images.

        -1 where an image or its logits are not finite.
        """
        usable = perturbed.flatten(1).isfinite().all(1)
        logits = self._logits(perturbed.nan_to_num())
        classes = torch.where(usable & logits.isfinite().all(1), logits.argmax(1), -1)
        predicted: np.ndarray = classes.cpu().numpy()
        return predicted

    def _verified(self, batch: Batch, proposal: AttackResult) -> "_Found":
        images = batch.images
        if proposal.perturbed is None:
            raise MethodError(
                f"{self.method.name} returned neither perturbed images nor what it found."
            )
        perturbed = proposal.perturbed.clamp(0, 1)
        lead, prediction = self._relative_margin(perturbed, batch)
        for nudge in EXTRAPOLATION_FACTORS:
            near = torch.nonzero(lead.abs() <= ROUNDING).flatten()
            if len(near):
                part = batch.take(near)
                perturbed[near] = (part.images + nudge * (perturbed[near] - part.images)).clamp(
                    0, 1
                )
                lead[near], prediction[near] = self._relative_margin(perturbed[near], part)
        status = np.where((lead > ROUNDING).cpu().numpy(), Status.FOUND, Status.FAILED).astype(
            object
        )
        missed = torch.nonzero(lead <= ROUNDING).flatten()
        if len(missed):
            perturbed[missed] = self.fallback.perturbed(batch.take(missed))
            lead[missed], prediction[missed] = self._relative_margin(
                perturbed[missed], batch.take(missed)
            )
            status[missed[lead[missed] > ROUNDING].cpu().numpy()] = Status.FALLBACK
        prediction = torch.where(lead > ROUNDING, prediction, -1)
        perturbed = torch.where((prediction >= 0).view(-1, 1, 1, 1), perturbed, torch.nan)
        distance = lengths(perturbed.double() - images.double(), self.method.norm)
        return _Found(
            distance.cpu().numpy(),
            status,
            prediction.cpu().numpy(),
            perturbed,
            dict(proposal.columns),
        )

    def _relative_margin(self, perturbed: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return by how much another class than the label leads, and each predicted class.

        The lead is a share of the largest clean logit.

        Predicted anew, in passes of half the size, and to lead by more than rounding, since a
        sample on the boundary flips with the size of its batch. Minus infinity for an image that
        cannot count, constant or not finite, or whose logits are not finite.
        """
        flat, labels = perturbed.flatten(1), batch.labels[:, None]
        usable = flat.isfinite().all(1) & (flat.amax(1) > flat.amin(1))
        logits = in_passes(
            self.network, perturbed.nan_to_num(), max(1, min(self.batch_size, len(flat)) // 2)
        )
        lead = logits.scatter(1, labels, -torch.inf).amax(1) - logits.gather(1, labels)[:, 0]
        lead = torch.where(usable & logits.isfinite().all(1), lead, -torch.inf)
        return lead / largest_logits(batch.logits), logits.argmax(1)

    def _images(self, rows: np.ndarray) -> Tensor:
        return self.samples.images(rows, self.network.device)

    def _logits(self, images: Tensor) -> Tensor:
        return in_passes(self.network, images, self.batch_size)


@dataclass(frozen=True)
class _Found:
    distance: np.ndarray
    status: np.ndarray
    prediction: np.ndarray
    perturbed: Tensor | None
    columns: dict[str, np.ndarray]
    clean_prediction: np.ndarray | None = None


class _Finished:
    """Counts the rows that are finished while it passes their number on."""

    def __init__(self, done: Callable[[int], None]) -> None:
        self.done = done
        self.n = 0

    def __call__(self, n: int) -> None:
        if n:
            self.n += n
            self.done(n)

    def take_back(self) -> None:
        self(-self.n)


def estimate_arrays(
    network: Network,
    images: np.ndarray,
    labels: np.ndarray,
    method: Method,
    parameters: Mapping[str, Value],
    *,
    batch_size: int | None = 128,
    fallback_targets: np.ndarray | None = None,
    seeds: np.ndarray | None = None,
) -> Estimates:
    """Estimate distances of images in memory to any callable's decision boundary.

    Parameters
    ----------
    network, method, parameters, batch_size
        As of `Engine`.
    images, labels
        Float32 in [0, 1], shape (n, channels, height, width), and true classes.
    fallback_targets, seeds
        As of `Samples.of_arrays`.
    """
    samples = Samples.of_arrays(images, labels, fallback_targets, seeds)
    engine = Engine(network, samples, method, parameters, batch_size=batch_size)
    rows = np.arange(len(images))
    parts = [engine.estimate(batch) for batch in in_batches(rows, engine.rows_a_batch)]
    arrays = ("rows", "prediction", "distance", "status", "perturbed_prediction", "perturbed")
    return Estimates(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays},
        columns={
            name: np.concatenate([part.columns[name] for part in parts]) for name in method.columns
        },
    )
