"""The one place that imports torchvision: late, and also without its compiled operators.

Late, because the import takes about a second (it brings in ``torch._dynamo``). Where pip combines
the CPU build of torch with the registry's torchvision, the compiled operators are absent and
``import torchvision`` fails on their schemas; we use only the Python parts, so the two schemas it
asks for are declared first.
"""

import importlib.util
import threading
from pathlib import Path
from types import ModuleType

import torch

_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_lock = threading.Lock()
_declared: list[torch.library.Library] = []  # a declaration ends with the life of its Library


def torchvision_models() -> ModuleType:
    """Import and return ``torchvision.models``."""
    with (
        _lock,
        torch.device("cpu"),
    ):  # whatever it makes on import must not go to the caller's device
        _declare_absent_operators()
        import torchvision.models  # type: ignore[import-untyped]

        models: ModuleType = torchvision.models
        return models


def _declare_absent_operators() -> None:
    """Declare the operators torchvision asks for, unless its compiled library brings them."""
    _load_compiled_operators()
    absent = [name for name in _OPERATORS if not hasattr(torch.ops.torchvision, name)]
    if absent:
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in absent:
            library.define(name + _SCHEMA)  # type: ignore[no-untyped-call]
        _declared.append(library)


def _load_compiled_operators() -> None:
    """Load torchvision's compiled library as its own import does, where one fits this torch."""
    package = importlib.util.find_spec("torchvision")
    for folder in (package.submodule_search_locations or []) if package else []:
        for path in [*Path(folder).glob("_C*.so"), *Path(folder).glob("_C*.pyd")]:
            try:
                torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
            except OSError:
                continue
