"""Attacks of other libraries with one signature, and the judge of every method's output.

What a peer needs that a user may miss is done here: bounds (0, 1), parameters frozen, evaluation
mode, logits. torchattacks and ART are for benchmarks only; `benchmarks/requirements.txt` says how
they are installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.subjects import PEERS_BATCH
from rbcore.outputs.modes import evaluating

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""From a network, images in [0, 1] and their labels to perturbed images."""
OUTSIDE = 1e-5
"""How far outside [0, 1] a pixel may lie, by rounding, before an output counts as failed."""


@dataclass(frozen=True)
class Peer:
    """An attack of another library.

    Attributes
    ----------
    title
        Library, attack and its settings.
    attack
        The attack.
    rows
        Images it is measured on at most, since some take a second or more an image.
    """

    title: str
    attack: Attack
    rows: int | None = None

    def run(
        self, network: nn.Module, images: Tensor, labels: Tensor, batch: int = PEERS_BATCH
    ) -> Tensor:
        """Return the perturbed images, `batch` at a time, with the network's parameters frozen."""
        with evaluating(network, frozen=True), torch.enable_grad():
            parts = [
                self.attack(
                    network, images[start : start + batch], labels[start : start + batch]
                ).detach()
                for start in range(0, len(images), batch)
            ]
        return torch.cat(parts)


def judge(network: nn.Module, images: Tensor, labels: Tensor, perturbed: Tensor) -> np.ndarray:
    """Return the L2 distance of each perturbed image, float64, shape (n,); NaN where it fails.

    It has to be finite, not constant, inside [0, 1] up to rounding (and is clipped), and
    misclassified both alone and among all others: an image on the boundary flips with the
    size of its batch.
    """
    flat = perturbed.flatten(1)
    usable = flat.isfinite().all(1) & (flat.amax(1) > flat.amin(1))
    usable &= (flat.amin(1) >= -OUTSIDE) & (flat.amax(1) <= 1 + OUTSIDE)
    shown = perturbed.nan_to_num().clamp(0, 1)
    with evaluating(network, frozen=True), torch.no_grad():
        for size in (1, PEERS_BATCH):
            logits = torch.cat(
                [network(shown[start : start + size]) for start in range(0, len(shown), size)]
            )
            usable &= logits.argmax(1) != labels
    distance = (shown.double() - images.double()).flatten(1).norm(dim=1)
    judged: np.ndarray = torch.where(usable, distance, torch.nan).cpu().numpy()
    return judged


def foolbox_deepfool(candidates: int = 10) -> Attack:
    """Foolbox's ``L2DeepFoolAttack`` with its own settings."""
    from foolbox.attacks import L2DeepFoolAttack

    return _foolbox(
        lambda: L2DeepFoolAttack(steps=50, candidates=candidates, overshoot=0.02, loss="logits")
    )


def foolbox_ddn(steps: int = 100) -> Attack:
    """Foolbox's ``DDNAttack``; it returns the clean image where it fails."""
    from foolbox.attacks import DDNAttack

    return _foolbox(lambda: DDNAttack(init_epsilon=1.0, steps=steps, gamma=0.05))


def foolbox_carlini_wagner(binary_search_steps: int, steps: int) -> Attack:
    """Foolbox's ``L2CarliniWagnerAttack``, never stopped early: that depends on neighbors."""
    from foolbox.attacks import L2CarliniWagnerAttack

    def make() -> L2CarliniWagnerAttack:
        return L2CarliniWagnerAttack(
            binary_search_steps=binary_search_steps, steps=steps, abort_early=False
        )

    return _foolbox(make)


def _foolbox(make: Callable[[], Any]) -> Attack:
    from foolbox.criteria import Misclassification
    from foolbox.models.pytorch import PyTorchModel

    def attack(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        wrapped = PyTorchModel(
            network, bounds=(0, 1), device=images.device
        )  # it takes cuda:0 where none is given
        perturbed: Tensor = make().run(wrapped, images, Misclassification(labels))
        return perturbed

    return attack


def torchattacks_deepfool(steps: int = 50) -> Attack:
    """Return torchattacks' ``DeepFool``, which works on one image at a time and on all classes."""
    return _torchattacks("DeepFool", steps=steps, overshoot=0.02)


def torchattacks_carlini_wagner(steps: int = 100) -> Attack:
    """Return torchattacks' ``CW``: one constant for all samples, no binary search."""
    return _torchattacks("CW", c=1, kappa=0, steps=steps, lr=0.01)


def _torchattacks(name: str, **settings: float) -> Attack:
    def attack(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        import torchattacks

        made = getattr(torchattacks, name)(network, **settings)
        made.set_device(images.device)  # its normalization stays unset: the network normalizes
        perturbed: Tensor = made(images, labels)
        return perturbed

    return attack


def art_deepfool(steps: int = 50) -> Attack:
    """ART's ``DeepFool`` with the paper's overshoot.

    Its own default of 1e-6 leaves samples on the boundary.
    """

    def make(classifier: object, size: int) -> object:
        from art.attacks.evasion import DeepFool

        return DeepFool(
            classifier, max_iter=steps, epsilon=0.02, nb_grads=10, batch_size=size, verbose=False
        )

    return _art(make)


def art_carlini_wagner(binary_search_steps: int = 5, steps: int = 10) -> Attack:
    """ART's ``CarliniL2Method`` on a small budget: a step searches a line of ten forward passes."""

    def make(classifier: object, size: int) -> object:
        from art.attacks.evasion import CarliniL2Method

        budget = {"binary_search_steps": binary_search_steps, "max_iter": steps}
        return CarliniL2Method(
            classifier, **budget, learning_rate=0.01, batch_size=size, verbose=False
        )

    return _art(make)


def _art(make: Callable[[object, int], Any]) -> Attack:
    def attack(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        from art.estimators.classification import PyTorchClassifier

        with torch.no_grad():
            n_classes = network(images[:1]).shape[1]
        classifier = PyTorchClassifier(
            network,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(images.shape[1:]),
            nb_classes=n_classes,
            clip_values=(0.0, 1.0),
            device_type="gpu" if images.device.type == "cuda" else "cpu",
        )
        made = make(classifier, len(images))
        perturbed = made.generate(images.cpu().numpy(), labels.cpu().numpy())
        return torch.as_tensor(perturbed, device=images.device)

    return attack


REFERENCE = "foolbox-deepfool"
LONG = "foolbox-cw-9x1000"
PEERS = {
    REFERENCE: Peer("Foolbox DeepFool, 10 candidates", foolbox_deepfool()),
    "foolbox-ddn": Peer("Foolbox DDN, 100 steps", foolbox_ddn()),
    "foolbox-cw-5x100": Peer("Foolbox CW, 5 x 100 steps", foolbox_carlini_wagner(5, 100)),
    LONG: Peer("Foolbox CW, 9 x 1000 steps", foolbox_carlini_wagner(9, 1000), rows=32),
    "torchattacks-deepfool": Peer("torchattacks DeepFool", torchattacks_deepfool()),
    "torchattacks-cw": Peer("torchattacks CW, 100 steps", torchattacks_carlini_wagner()),
    "art-deepfool": Peer("ART DeepFool", art_deepfool()),
    "art-cw-5x10": Peer("ART CarliniL2, 5 x 10 steps", art_carlini_wagner(), rows=32),
}
