"""Attacks of Foolbox, as references that users know. What they return is only a proposal: the engine predicts it again."""

import torch
from foolbox.attacks.deepfool import L2DeepFoolAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn

from rbcore.distances.base import METHODS, Method, Parameter, Proposal


def deepfool(
    network: nn.Module, images: Tensor, labels: Tensor, *, steps: int, candidates: int, overshoot: float
) -> Proposal:
    """Run Foolbox's ``L2DeepFoolAttack`` (Moosavi-Dezfooli et al. 2016) inside [0, 1]."""
    wrapped = PyTorchModel(network, bounds=(0, 1), device=images.device)
    attack = L2DeepFoolAttack(steps=steps, candidates=candidates, overshoot=overshoot, loss="logits")
    with torch.enable_grad():
        perturbed = attack.run(wrapped, images, Misclassification(labels))
    return Proposal(perturbed.detach())


METHODS.add(
    "deepfool",
    Method(
        "deepfool",
        "DeepFool",
        deepfool,
        bound="upper",
        description="Foolbox L2DeepFoolAttack: steps to the nearest linearised boundary (paper, section 4.1)",
        parameters=(
            Parameter("steps", 50, 1, 10_000, "largest number of steps"),
            Parameter("candidates", 10, 2, 1_000, "classes considered, the most likely first"),
            Parameter("overshoot", 0.02, 0.0, 1.0, "how far beyond the linearised boundary, as a share of the step"),
        ),
        presets={
            "foolbox": {"steps": 50, "candidates": 10, "overshoot": 0.02},
            "paper": {"steps": 100, "candidates": 10, "overshoot": 0.05},
        },
    ),
)
