"""A network in evaluation mode for a while, whatever mode it is in."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from rbcore.outputs.reading import Network


@contextmanager
def evaluating(network: Network, *, frozen: bool = False) -> Iterator[None]:
    """Put a network into evaluation mode, and restore every module's own mode on the way out.

    Parameters
    ----------
    network
        Any callable; if it is not a module, nothing is done.
    frozen
        Whether its parameters need no gradients meanwhile.
    """
    modules = list(network.modules()) if isinstance(network, nn.Module) else []
    parameters = list(network.parameters()) if frozen and isinstance(network, nn.Module) else []
    modes = [module.training for module in modules]
    grads = [parameter.requires_grad for parameter in parameters]
    try:
        for module in modules:
            module.training = False
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, training in zip(modules, modes, strict=True):
            module.training = training
        for parameter, requires_grad in zip(parameters, grads, strict=True):
            parameter.requires_grad_(requires_grad)
