"""Small made-up files in the layouts in which the datasets are published.

For tests and benchmarks that must not need the real ones.
"""

import gzip
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from rbcore.datasets import celeba, cifar

ADIENCE_HEADING = "\t".join(
    [
        *("user_id", "original_image", "face_id", "age", "gender", "x", "y", "dx", "dy"),
        *("tilt_ang", "fiducial_yaw_angle", "fiducial_score"),
    ]
)
ADIENCE_AGES = (
    "(0, 2)",
    "(4, 6)",
    "(8, 12)",
    "(15, 20)",
    "(25, 32)",
    "(38, 43)",
    "(48, 53)",
    "(60, 100)",
)


@dataclass(frozen=True)
class Layout:
    """How to write a dataset's made-up files, and how many images its splits then have."""

    write: Callable[[Path], Path]
    n_train: int
    n_test: int


def write_pickle(path: Path, content: object) -> None:
    """Write a file as the authors of CIFAR did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


def noise_rows(n: int, seed: int) -> np.ndarray:
    """Return n images of noise as rows of CIFAR, uint8, shape (n, 3072)."""
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=np.uint8)


def write_cifar10(root: Path, n: int = 20) -> Path:
    """Write five batches of n images and n test images; row i has the label i % 10."""
    folder = root / "cifar-10-batches-py"
    for place, name in enumerate(cifar.BATCHES_10):
        content = {
            "data": noise_rows(n, place),
            "labels": [i % 10 for i in range(n)],
            "filenames": ["x.png"] * n,
        }
        write_pickle(folder / name, content)
    write_pickle(folder / "batches.meta", {"label_names": list(cifar.CLASSES_10), "num_vis": 3072})
    return root


def write_cifar100(root: Path, n: int = 200) -> Path:
    """Write n train and n test images; row i has fine label i % 100 and coarse label i % 20."""
    folder = root / "cifar-100-python"
    for place, name in enumerate(cifar.BATCHES_100):
        labels = {
            "fine_labels": [i % 100 for i in range(n)],
            "coarse_labels": [i % 20 for i in range(n)],
        }
        write_pickle(folder / name, {"data": noise_rows(n, place), **labels})
    write_pickle(
        folder / "meta",
        {"fine_label_names": list(cifar.FINE), "coarse_label_names": list(cifar.COARSE)},
    )
    return root


def idx(values: np.ndarray) -> bytes:
    """Return values in the IDX format of MNIST."""
    header = np.array([0x800 + values.ndim, *values.shape], ">u4")
    return header.tobytes() + values.astype(np.uint8).tobytes()


def write_fashion_mnist(root: Path, n_train: int = 40, n_test: int = 20) -> Path:
    """Write images of noise in the files of Fashion-MNIST."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, n in (("train", n_train), ("t10k", n_test)):
        images = np.random.default_rng(n).integers(0, 256, (n, 28, 28))
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(idx(np.arange(n) % 10))
        )
    return root


def write_noise_image(path: Path, shape: tuple[int, int] = (20, 20), seed: int = 0) -> Path:
    """Write one image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_faces(folder: Path, n: int = 60, seed: int = 0) -> Path:
    """Write n images of noise with UTKFace names; ages, genders and races in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for i in range(n):
        age, gender, race = (5, 18, 30, 50, 70)[i % 5], i % 2, i % 3
        pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(
            folder / f"{age}_{gender}_{race}_{20170100000000000 + i}.jpg.chip.jpg"
        )
    return folder


def write_celeba(root: Path, n: int = 50) -> Path:
    """Write n images: six of ten train, two validation, two test.

    Attribute k of image i is ``(i >> k % 4) & 1``.
    """
    folder = root / "celeba"
    names = [f"{i + 1:06d}.jpg" for i in range(n)]
    for i, name in enumerate(names):
        write_noise_image(folder / celeba.IMAGES / name, (22, 18), i)
    splits = [(0, 0, 0, 0, 0, 0, 1, 1, 2, 2)[i // 4 % 10] for i in range(n)]
    partition = [f"{name} {split}" for name, split in zip(names, splits, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(partition) + "\n")
    rows = [
        f"{name} " + " ".join(f"{1 if i >> k % 4 & 1 else -1:2d}" for k in range(40))
        for i, name in enumerate(names)
    ]
    (folder / "list_attr_celeba.txt").write_text(
        "\n".join([str(n), " ".join(celeba.ATTRIBUTES) + " ", *rows]) + "\n"
    )
    return root


def write_folds(root: Path, rows: list[list[tuple[str, ...]]]) -> Path:
    """Write the five fold files; a row is user, image, face, age, gender."""
    root.mkdir(parents=True, exist_ok=True)
    for fold, chosen in enumerate(rows):
        lines = ["\t".join((*row, *"1234567")) for row in chosen]
        (root / f"fold_{fold}_data.txt").write_text("\n".join([ADIENCE_HEADING, *lines]) + "\n")
    return root


def write_adience(root: Path, n: int = 16) -> Path:
    """Write n faces a fold, ages in turn and genders in turn after them."""
    rows = [
        [
            (f"{fold}@N0{i % 3}", f"{fold}{i}_o.jpg", str(i), ADIENCE_AGES[i % 8], "fm"[i // 8 % 2])
            for i in range(n)
        ]
        for fold in range(5)
    ]
    for user, image, face, *_ in [row for fold in rows for row in fold]:
        write_noise_image(
            root / "aligned" / user / f"landmark_aligned_face.{face}.{image}", seed=int(face)
        )
    return write_folds(root, rows)


def write_class_folders(root: Path, classes: tuple[str, ...] = ("cat", "dog"), n: int = 10) -> Path:
    """Write n images of noise a class, each in the folder of its class."""
    for place, name in enumerate(classes):
        for i in range(n):
            write_noise_image(root / name / f"{i}.{('jpg', 'png')[i % 2]}", seed=1000 * place + i)
    return root


LAYOUTS = {
    "utkface": Layout(write_faces, 48, 12),
    "adience": Layout(write_adience, 64, 16),
    "celeba": Layout(write_celeba, 34, 8),
    "cifar10": Layout(write_cifar10, 100, 20),
    "cifar100": Layout(write_cifar100, 200, 200),
    "cifar100super": Layout(write_cifar100, 200, 200),
    "fashion_mnist": Layout(write_fashion_mnist, 40, 20),
    "folder": Layout(write_class_folders, 16, 4),
}
"""For every registered dataset that needs a folder."""
