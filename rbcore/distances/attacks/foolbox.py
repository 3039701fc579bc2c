"""Attacks of Foolbox, as references that users know.

What they return is only a proposal: the engine predicts it again. Default parameters, ranges and
presets: `rbcore.distances.method_parameters`.
"""

import torch
from foolbox.attacks.base import MinimizationAttack
from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
from foolbox.attacks.ddn import DDNAttack
from foolbox.attacks.deepfool import L2DeepFoolAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from torch import nn

from rbcore.distances.base import AttackResult, Batch


def deepfool(
    network: nn.Module, batch: Batch, *, steps: int, candidates: int, overshoot: float
) -> AttackResult:
    """Run Foolbox's ``L2DeepFoolAttack`` (Moosavi-Dezfooli et al. 2016) inside [0, 1]."""
    attack = L2DeepFoolAttack(
        steps=steps, candidates=candidates, overshoot=overshoot, loss="logits"
    )
    return _run(attack, network, batch)


def carlini_wagner(
    network: nn.Module,
    batch: Batch,
    *,
    steps: int,
    binary_search_steps: int,
    stepsize: float,
    initial_const: float,
    confidence: float,
) -> AttackResult:
    """Run Foolbox's ``L2CarliniWagnerAttack`` (Carlini & Wagner 2017, section V-A) inside [0, 1].

    Its early stop is off whatever the settings: it watches the loss summed over the batch, so that
    a distance would depend on the images beside it.
    """
    attack = L2CarliniWagnerAttack(
        binary_search_steps=binary_search_steps,
        steps=steps,
        stepsize=stepsize,
        confidence=confidence,
        initial_const=initial_const,
        abort_early=False,
    )
    return _run(attack, network, batch)


def ddn(
    network: nn.Module, batch: Batch, *, steps: int, init_epsilon: float, gamma: float
) -> AttackResult:
    """Run Foolbox's ``DDNAttack`` (Rony et al. 2019, algorithm 1) inside [0, 1]."""
    return _run(DDNAttack(steps=steps, init_epsilon=init_epsilon, gamma=gamma), network, batch)


def _run(attack: MinimizationAttack, network: nn.Module, batch: Batch) -> AttackResult:
    """Run an attack pass by pass.

    What it draws at random comes from the seed of the pass's first image.

    Only DDN draws: directions for images whose gradient is exactly zero.
    """
    device = batch.images.device
    wrapped = PyTorchModel(network, bounds=(0, 1), device=device)
    found = []
    for start in range(0, len(batch.labels), batch.size):
        images, labels = (part[start : start + batch.size] for part in (batch.images, batch.labels))
        with torch.enable_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(int(batch.seeds[start]))
            found.append(attack.run(wrapped, images, Misclassification(labels)).detach())
        batch.done(len(labels))
    return AttackResult(torch.cat(found))
