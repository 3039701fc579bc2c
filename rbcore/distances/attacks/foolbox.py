"""Attacks of Foolbox, as references that users know.

What they return is only a proposal: the engine predicts it again.
"""

import torch
from foolbox.attacks.base import MinimizationAttack
from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
from foolbox.attacks.ddn import DDNAttack
from foolbox.attacks.deepfool import L2DeepFoolAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from torch import nn

from rbcore.distances.method import METHODS, AttackResult, Batch, Method
from rbcore.parameters import Parameter


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
    """Run an attack pass by pass; what it draws at random comes from the seed of the pass's first image.

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


METHODS.add(
    "deepfool",
    Method(
        "deepfool",
        "DeepFool",
        deepfool,
        bound="upper",
        version=2,
        description=(
            "Foolbox L2DeepFoolAttack: steps to the nearest linearized boundary "
            "(paper, section 4.1)"
        ),
        parameters=(
            Parameter("steps", 50, 1, 10_000, "largest number of steps"),
            Parameter("candidates", 10, 2, 1_000, "classes considered, the most likely first"),
            Parameter(
                "overshoot",
                0.02,
                0.0,
                1.0,
                "how far beyond the linearized boundary, as a share of the step",
            ),
        ),
        presets={
            "foolbox": {"steps": 50, "candidates": 10, "overshoot": 0.02},
            "paper": {"steps": 100, "candidates": 10, "overshoot": 0.05},
        },
    ),
)

METHODS.add(
    "carlini_wagner",
    Method(
        "carlini_wagner",
        "Carlini-Wagner",
        carlini_wagner,
        bound="upper",
        version=2,
        description=(
            "Foolbox L2CarliniWagnerAttack (Carlini & Wagner 2017): Adam on distance plus a "
            "weighted margin, the weight found by bisection; its defaults find what the budget of "
            "the paper (section 4.1, preset paper) leaves to the fallback"
        ),
        parameters=(
            Parameter("steps", 100, 1, 100_000, "steps of Adam for each weight, all of them taken"),
            Parameter("binary_search_steps", 6, 1, 100, "weights tried, one after the other"),
            Parameter(
                "stepsize",
                5e-2,
                1e-6,
                1.0,
                "learning rate of Adam, in units of the inverse tanh of pixels in [-1, 1]",
            ),
            Parameter(
                "initial_const",
                1e-1,
                1e-10,
                1e10,
                "first weight, in squared pixel distance per unit of logit",
            ),
            Parameter(
                "confidence",
                0.0,
                0.0,
                1_000.0,
                "margin beyond the boundary, in units of the logits",
            ),
        ),
        presets={
            "paper": {
                "steps": 100,
                "binary_search_steps": 5,
                "stepsize": 5e-3,
                "initial_const": 1e-2,
                "confidence": 0.0,
            },
            "foolbox": {
                "steps": 10_000,
                "binary_search_steps": 9,
                "stepsize": 1e-2,
                "initial_const": 1e-3,
                "confidence": 0.0,
            },
        },
        passes=lambda given: int(given["steps"]) * int(given["binary_search_steps"]),
    ),
)
METHODS.add(
    "ddn",
    Method(
        "ddn",
        "DDN",
        ddn,
        bound="upper",
        version=2,
        description=(
            "Foolbox DDNAttack (Rony et al. 2019): steps along the gradient on a sphere that "
            "grows or shrinks at each"
        ),
        parameters=(
            Parameter("steps", 100, 1, 100_000, "steps, all of them taken"),
            Parameter(
                "init_epsilon",
                1.0,
                1e-6,
                1_000.0,
                "first radius of the sphere, L2 in [0, 1] pixels",
            ),
            Parameter("gamma", 0.05, 1e-6, 0.999, "share by which the radius changes at a step"),
        ),
        presets={"foolbox": {"steps": 100, "init_epsilon": 1.0, "gamma": 0.05}},
        passes=lambda given: int(given["steps"]),
    ),
)
