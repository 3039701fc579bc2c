"""How probable a network finds classes: the softmax of its logits."""

import numpy as np
import torch

from rbcore.models import Model

BATCH = 128


def probabilities(model: Model, images: np.ndarray) -> np.ndarray:
    """Return the softmax of a network's logits, float32, shape (n, n_classes).

    The images have the shape (n, channels, height, width).
    """
    with torch.no_grad():
        parts = [
            model.network(torch.as_tensor(images[start : start + BATCH], device=model.device))
            .softmax(1)
            .cpu()
            .numpy()
            for start in range(0, len(images), BATCH)
        ]
    joined: np.ndarray = np.concatenate(parts)
    return joined
