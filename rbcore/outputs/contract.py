"""The contract of a network's output, checked only here: at import and before every estimate.

Distances need *logits*: a finite tensor of float32 or float64, of shape (n, n_classes), the
same for an image whoever its neighbors in the batch are and whenever it is asked, in evaluation
mode. What differs only in form is taken, and said: ``.logits`` of an object, the one element of
a tuple, float64, a trailing 1x1, one logit of two classes, a softmax that is the last module.
All else is refused.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from rbcore.errors import MethodError, RobustnessBiasError
from rbcore.outputs.reading import AsLogits, Network, Reading, adapted
from rbcore.runtime import is_out_of_memory

SAME = 1e-4
"""Share of the largest logit by which two answers to one image may differ; float32 allows no less
with batches of other sizes.
"""
N_CHECKED = 4
"""Images on which the contract is checked."""
SCALES = (-1.0, 0.1, 10.0, 1000.0)
"""Factors on clean images, most of which leave [0, 1]: logits grow with them,
probabilities cannot.
"""
TINY = torch.finfo(torch.float32).tiny
LOGITS, PROBABILITIES = "logits", "probabilities"
KINDS = (LOGITS, PROBABILITIES)
SQUASHING = (nn.Softmax, nn.Softmax2d, nn.Sigmoid, nn.LogSigmoid)
"""Last modules that can be left out: their inputs are logits, and the largest stays the largest."""
REMOVE = "let the network return its logits, the numbers before the softmax or sigmoid"


def read_outputs(
    network: Network, images: Tensor, n_classes: int | None, outputs: str | None = None
) -> Reading:
    """Check the contract on a few images and return how the network's output is to be read.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        Float32 in [0, 1], shape (n, channels, height, width), of the data that will be measured;
        the first few are used.
    n_classes
        Classes of the data; None where any number will do.
    outputs
        ``logits`` or ``probabilities`` where somebody said which they are; None to find out.

    Raises
    ------
    MethodError
        If the network fails, its output is not logits, or it depends on chance or on the other
        images; one sentence with the remedy.
    """
    if outputs not in (None, *KINDS):
        raise MethodError(f"outputs={outputs!r} is neither {LOGITS!r} nor {PROBABILITIES!r}.")
    images = images[:N_CHECKED]
    with torch.no_grad():
        reading, logits = _form_of(network, images, n_classes)
        _refuse_chance(adapted(network, reading), images, logits)
        last = _last_squashing(network, reading, images)
        reading = replace(reading, without=last)
        if last:
            logits = _answer(adapted(network, reading), images)
            refuse_not_finite(logits)
        elif _kind_of(network, reading, images, logits, outputs) == PROBABILITIES:
            raise MethodError(
                f"The network gives probabilities; remove its softmax or sigmoid: {REMOVE}."
            )
        is_log_softmax = bool((logits <= 0).all()) and bool(
            (logits.logsumexp(1).abs() <= SAME).all()
        )
    return replace(reading, is_log_softmax=is_log_softmax)


def refuse_not_finite(logits: Tensor) -> None:
    """Raise `MethodError` if a logit is NaN or infinite."""
    if not logits.isfinite().all():
        raise MethodError(
            "The model gives NaN or infinite outputs for clean images; its weights or "
            "normalization are broken."
        )


def _answer(network: Network, images: Tensor) -> Any:
    """Call a foreign network; report whatever it raises, except lack of memory, as one sentence."""
    try:
        return network(images)
    except Exception as error:
        if isinstance(error, RobustnessBiasError) or is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise MethodError(
            f"The network fails on a batch of shape {tuple(images.shape)} "
            f"({type(error).__name__}: {reason}); it has to take any number of float32 images of "
            "this shape in evaluation mode."
        ) from error


def _form_of(network: Network, images: Tensor, n_classes: int | None) -> tuple[Reading, Tensor]:
    """Return the steps that make shape (n, n_classes) of the output, and what they make of it."""
    takes_float64 = False
    try:
        output = _answer(network, images)
    except MethodError:
        own = network.parameters() if isinstance(network, nn.Module) else ()
        takes_float64 = any(parameter.dtype == torch.float64 for parameter in own)
        if not takes_float64:
            raise
        output = _answer(network, images.double())
    steps = []
    if isinstance(output, Mapping) and list(output) == ["logits"]:
        steps.append("key")
    elif not isinstance(output, Tensor | Mapping) and isinstance(
        getattr(output, "logits", None), Tensor
    ):
        steps.append("attribute")
    elif isinstance(output, tuple | list) and len(output) == 1:
        steps.append("item")
    tensor = AsLogits(tuple(steps))(output)
    if not isinstance(tensor, Tensor):
        raise MethodError(
            f"The network returns {_named(output)} instead of one tensor of logits; let its "
            "forward return the logits alone."
        )
    if tensor.layout != torch.strided or tensor.dtype not in (torch.float32, torch.float64):
        kind = str(tensor.dtype if tensor.layout == torch.strided else tensor.layout).removeprefix(
            "torch."
        )
        raise MethodError(
            f"The network returns {kind} instead of float32 numbers; let its forward "
            "return float32 logits."
        )
    if tensor.dtype == torch.float64 and images.dtype != torch.float64:
        steps.append("float32")
    n, shape = len(images), tuple(tensor.shape)
    if len(shape) == 4 and shape[2:] == (1, 1):
        steps.append("flatten")
        shape = shape[:2]
    if n_classes == 2 and shape == (n, 1):
        steps.append("two_classes")
        shape = (n, 2)
    if len(shape) != 2 or shape[0] != n or n_classes not in (None, shape[1]):
        raise MethodError(
            f"The network returns shape {tuple(tensor.shape)} for {n} images where ({n}, "
            f"{n_classes or 'n_classes'}) is needed, one logit per image and class; build it with "
            "as many outputs as the data have classes, and nothing else."
        )
    logits: Tensor = AsLogits(tuple(steps))(output)
    refuse_not_finite(logits)
    return Reading(tuple(steps), takes_float64=takes_float64), logits


def _named(output: object) -> str:
    if isinstance(output, tuple | list):
        return f"a {type(output).__name__} of {len(output)}"
    if isinstance(output, Mapping):
        return f"a mapping of {', '.join(map(repr, list(output)[:5])) or 'nothing'}"
    return f"an object of type {type(output).__name__}"


def _refuse_chance(network: Network, images: Tensor, logits: Tensor) -> None:
    """Refuse a network whose output changes from call to call, or with the rest of the batch."""
    others = torch.cat(
        [torch.zeros_like(images[:1]), torch.ones_like(images[:1]), _noise(images, 2)]
    )
    for batch, expected, is_same_batch in (
        (images, logits, True),
        (torch.cat([images[:1], others]), logits[:1], False),
        (images.flip(0), logits.flip(0), False),
        (images[:1], logits[:1], False),
    ):
        answer = _answer(network, batch)
        if not isinstance(answer, Tensor) or answer.shape != (len(batch), logits.shape[1]):
            given = tuple(getattr(answer, "shape", ()))
            raise MethodError(
                f"The network returns shape {given} for a batch of {len(batch)} and "
                f"{tuple(logits.shape)} for one of {len(logits)}; use flatten(1) instead of "
                "squeeze(), so that the first axis is always the images."
            )
        change = float(
            (answer[: len(expected)] - expected).abs().max() / logits.abs().max().clamp_min(TINY)
        )
        if change <= SAME:
            continue
        if is_same_batch:
            raise MethodError(
                "The network answers the same images differently from call to call, by "
                f"{change:.2g} of its largest logit: dropout or noise stays on in evaluation "
                "mode; write F.dropout(x, p, self.training), and add no noise."
            )
        raise MethodError(
            "The network's answer to an image depends on the other images of its batch, by "
            f"{change:.2g} of its largest logit, as BatchNorm with the statistics of the batch "
            "does; give it running statistics (track_running_stats=True, training=self.training)."
        )


def _noise(images: Tensor, n: int) -> Tensor:
    return torch.rand((n, *images.shape[1:]), generator=torch.Generator().manual_seed(0)).to(
        images.device
    )


def _last_squashing(network: Network, reading: Reading, images: Tensor) -> str:
    """Return the name of the final softmax or sigmoid, if its input is accessible; else ''."""
    if not isinstance(network, nn.Module):
        return ""
    seen: list[tuple[str, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: seen.append((name, output)))
        for name, module in network.named_modules()
        if isinstance(module, SQUASHING)
    ]
    form = tuple(step for step in reading.steps if step not in ("float32", "two_classes"))
    try:
        final = _answer(adapted(network, replace(reading, steps=form)), images)
    finally:
        for hook in hooks:
            hook.remove()
    last = [
        name
        for name, output in seen
        if output.data_ptr() == final.data_ptr() and output.numel() == final.numel()
    ]
    if len(last) != 1 or [name for name, _ in seen].count(last[0]) > 1:
        return ""
    inputs = _answer(adapted(network, replace(reading, steps=form, without=last[0])), images)
    squashed = network.get_submodule(last[0])(inputs)
    is_last = squashed.shape == final.shape and bool((squashed - final).abs().max() <= SAME)
    return last[0] if is_last else ""


def _kind_of(
    network: Network, reading: Reading, images: Tensor, logits: Tensor, said: str | None
) -> str:
    """Decide whether outputs are logits or probabilities by constants, noise and scaled images.

    Ask where these leave it open.

    Probabilities add up to one number, whatever the image, or never leave [0, 1],
    however far it is scaled.
    """
    if said is None and bool((logits < 0).any()):
        return LOGITS
    raw = adapted(
        network,
        replace(reading, steps=tuple(step for step in reading.steps if step != "two_classes")),
    )
    constants = (
        torch.tensor([0.0, 0.5, 1.0], device=images.device)
        .view(-1, 1, 1, 1)
        .expand(-1, *images.shape[1:])
    )
    probes = torch.cat(
        [images, constants, _noise(images, 3), *(scale * images[:1] for scale in SCALES)]
    )
    outputs = _answer(raw, probes)
    outputs = outputs[outputs.isfinite().all(1)]
    varies = bool((outputs.amax(0) > outputs.amin(0)).any())
    if not varies or bool((outputs < 0).any()):
        return LOGITS if said is None else said
    sums = outputs.sum(1)
    adds_up = outputs.shape[1] > 1 and bool((sums - sums.mean()).abs().max() <= SAME * sums.mean())
    if adds_up:
        return PROBABILITIES
    if said is not None or bool((outputs > 1).any()):
        return said or LOGITS
    raise MethodError(
        "The network's outputs lie in [0, 1] for every image that was tried, so they may be "
        f"probabilities or logits. Say which on import (--outputs {LOGITS} or --outputs "
        f"{PROBABILITIES}), or {REMOVE}."
    )
