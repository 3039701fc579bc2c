"""Networks as methods see them: counted, checked, and folded into a faster one."""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rbcore.distances.base import Network
from rbcore.outputs import N_CHECKED, adapted, read_outputs
from rbcore.runtime import Cancel, never, stop_if

ROUNDING = 1e-5
"""Share of the clean image's largest logit by which another class must lead: more than the last
bits that batch sizes change.
"""
CLEAR_LEAD = 3 * ROUNDING
"""The same share where a line search or the fallback ends, so that the image still leads by
`ROUNDING` when it is predicted again.
"""
SAME_ANSWERS = 1e-5
"""Largest difference of logits, relative to the largest, at which a folded network stands
for the original.
"""
BLOCK = 32
"""Images a block on a CPU, where larger ones are hardly faster."""
BLOCK_BYTES = 2**28
"""Memory that autograd may keep for a block; larger images come in smaller blocks."""


@dataclass
class Counts:
    """Images sent forward and backward so far."""

    n_forward: int = 0
    n_backward: int = 0


class CountedNetwork(nn.Module):
    """A network that counts images sent forward and backward.

    It stops between two passes if asked to.
    """

    def __init__(
        self, network: Network, cancel: Cancel = never, counts: Counts | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.cancel = cancel
        self.counts = counts or Counts()
        self._quick: list[CountedNetwork] = []

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's logits, shape (n, n_classes)."""
        stop_if(self.cancel)
        self.counts.n_forward += len(images)
        if images.requires_grad and torch.is_grad_enabled():
            images = images.view_as(images)
            images.register_hook(self._count_backward)  # type: ignore[no-untyped-call]
        logits: Tensor = self.network(images)
        return logits

    def fused(self, images: Tensor) -> "CountedNetwork":
        """Return a faster network with the same answers for these images, to search on.

        BatchNorm is folded and the layout is channels last where that changes no answer. On a CPU
        images go through it in blocks of one size, so that no rounding depends on how many there
        are: a search takes many turns on the sign of a number near zero, and would end elsewhere.
        What it finds is predicted again by the network itself.
        """
        if not self._quick:
            faster = folded(self.network, images) if isinstance(self.network, nn.Module) else None
            inner = self.network if faster is None else faster
            if images.device.type == "cpu":
                inner = InBlocks(inner, block_of(inner, images[:1]))
            self._quick.append(CountedNetwork(inner, self.cancel, self.counts))
        return self._quick[0]

    def take_counts(self) -> dict[str, int]:
        """Return the images sent forward and backward since the last call."""
        counts = {"n_forward": self.counts.n_forward, "n_backward": self.counts.n_backward}
        self.counts.n_forward = self.counts.n_backward = 0
        return counts

    def _count_backward(self, gradient: Tensor) -> None:
        self.counts.n_backward += len(gradient)


class CheckedNetwork(CountedNetwork):
    """A network whose outputs are read as logits, once they have been checked.

    Parameters
    ----------
    network
        Any callable from float32 images in [0, 1], shape (n, channels, height, width), to
        logits (n, n_classes), or to what `rbcore.outputs` reads as logits.
    device
        Where the network lies.
    n_classes
        Classes of the data; None for as many as the network has.
    outputs
        ``logits`` where they are known to be, so that outputs in [0, 1] are not ambiguous; None to
        find out.
    cancel
        Asked before every forward pass.
    """

    def __init__(
        self,
        network: Network,
        *,
        device: torch.device | str = "cpu",
        n_classes: int | None = None,
        outputs: str | None = None,
        cancel: Cancel = never,
    ) -> None:
        super().__init__(network, cancel)
        self.device = torch.device(device)
        self.n_classes = n_classes
        self.outputs = outputs
        self.is_checked = False

    def check(self, images: Tensor) -> None:
        """Check the contract of `rbcore.outputs` on a few images, the first time.

        Raises
        ------
        MethodError
            If the outputs cannot be read as logits.
        """
        if not self.is_checked:
            reading = read_outputs(self.network, images[:N_CHECKED], self.n_classes, self.outputs)
            if not reading.is_plain:
                self.network = adapted(self.network, reading)
            self.is_checked = True


class InBlocks(nn.Module):
    """A network that sends images through another in blocks of exactly one size.

    The last one is filled up with copies.
    """

    def __init__(self, network: Network, block: int) -> None:
        super().__init__()
        self.network = network
        self.block = block

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of as many images as are given."""
        missing = -len(images) % self.block
        full = (
            torch.cat([images, images[:1].detach().expand(missing, -1, -1, -1)])
            if missing
            else images
        )
        logits = torch.cat([self.network(part) for part in torch.split(full, self.block)])
        return logits[: len(images)]


def block_of(network: Network, image: Tensor) -> int:
    """Return the images a block for a network: a power of two up to `BLOCK`.

    Autograd keeps at most `BLOCK_BYTES` for it.
    """
    most = max(1, BLOCK_BYTES // bytes_an_image(network, image))
    return int(min(BLOCK, 2 ** int(math.log2(most))))


def bytes_an_image(network: Network, image: Tensor) -> int:
    """Return the bytes autograd keeps for the backward pass of one image.

    Of shape (1, channels, height, width).
    """
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(image.detach().clone().requires_grad_())
    weights = network.parameters() if isinstance(network, nn.Module) else ()
    own = {parameter.untyped_storage().data_ptr() for parameter in weights}
    return sum(size for where, size in kept.items() if where not in own) + image.nbytes


def folded(network: nn.Module, images: Tensor) -> nn.Module | None:
    """Return a copy with every BatchNorm folded into the convolution before it.

    Its weights are in channels-last order.

    None where the network cannot be traced, or where the copy's logits for these images differ by
    more than `SAME_ANSWERS`.
    """
    try:
        traced = fx.symbolic_trace(copy.deepcopy(network).eval())
    except (
        Exception
    ):  # whatever a stranger's forward raises under tracing, the network itself still works
        return None
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        before = node.args[0] if node.args else None
        if (
            not isinstance(before, fx.Node)
            or {node.op, before.op} != {"call_module"}
            or len(before.users) > 1
        ):
            continue
        norm, convolution = modules[str(node.target)], modules[str(before.target)]
        calls = sum(
            other.op == "call_module" and other.target == before.target
            for other in traced.graph.nodes
        )
        is_pair = (
            isinstance(convolution, nn.Conv2d)
            and isinstance(norm, nn.BatchNorm2d)
            and norm.track_running_stats
        )
        if is_pair and calls == 1:
            traced.set_submodule(str(before.target), fuse_conv_bn_eval(convolution, norm))
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
    traced.graph.lint()
    traced.recompile()
    fused: nn.Module = traced.eval().requires_grad_(False)
    if images.dim() == 4:
        fused = fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        expected, actual = network(images), fused(images)
    is_same = (expected - actual).abs().max() <= SAME_ANSWERS * expected.abs().max()
    return fused if is_same else None


def has_gradient(network: nn.Module, images: Tensor) -> bool:
    """Whether the logits change with any of these images."""
    moved = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = network(moved)
        gradient = (
            torch.autograd.grad(logits.square().sum(), moved, allow_unused=True)[0]
            if logits.requires_grad
            else None
        )
    return gradient is not None and bool((gradient != 0).any())
