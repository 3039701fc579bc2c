"""A folder of small made-up JPEG files with UTKFace names, for tests that must not
need the real ones.
"""

from pathlib import Path

import numpy as np
from PIL import Image


def write_faces(folder: Path, n: int = 60, seed: int = 0) -> Path:
    """Write n images of noise named as UTKFace names its files; ages, genders and races in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for i in range(n):
        age, gender, race = (5, 18, 30, 50, 70)[i % 5], i % 2, i % 3
        pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(
            folder / f"{age}_{gender}_{race}_{20170100000000000 + i}.jpg.chip.jpg"
        )
    return folder
