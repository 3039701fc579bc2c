"""Toy faces: 8,000 drawn faces of 64x64 pixels with a planted bias, so that the truth is known.

No person is behind them.

The label is the age group, told by three cues that are drawn over each face: blush fades from
childhood, wrinkles deepen from 20, hair grays from 35. Three attributes, whose truth is:

============  ===============  =====================================================================
``lighting``  bright, dim      *planted*: in dim light the age cues have
                               ``1 - 0.75 * strength`` of their contrast (and the background is
                               darker), so dim faces lie closer to the boundary; at strength 0
                               dim and bright faces are drawn alike
``camera``    A, B             *null*: a coin thrown after the drawing; no pixel depends on it, so
                               groups are exchangeable
``site``      school, clinic   *confounded*: thrown after the drawing too, but with a chance that
                               grows with the age group; at a given age group it is exchangeable, so
                               any bias by site is one of age
============  ===============  =====================================================================

``toyfaces`` has the default strength; ``toyfaces0``, ``toyfaces30`` and ``toyfaces90`` have 0, 0.3
and 0.9, and `draw_dataset` any.

Everything is drawn in integer arithmetic from a frozen random stream, so that the same seed and
strength give the same bytes on every machine. Coordinates are sixteenths of a pixel; colors, covers
and cues are 0 to 255 or 256. That takes seconds, so a face is drawn when its pixels are first asked
for; whoever reads stored distances needs none.
"""

import hashlib
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, make_dataset
from rbcore.errors import DatasetError
from rbcore.runtime import Progress

N_FACES = 8000
SIZE = 64
CLASSES = ("0-15", "15-25", "25-40", "40-60", "60+")
AGE_STARTS = (0, 15, 25, 40, 60)
OLDEST = 90
STRENGTH = 0.6
"""Strength of the planted bias where none is asked for, in [0, 1]."""
STRENGTHS = {"toyfaces": STRENGTH, "toyfaces0": 0.0, "toyfaces30": 0.3, "toyfaces90": 0.9}
"""Strength by registered name."""
DRAWING_SEED = 20210303
PIXELS_SHA256 = {
    0: "fefed32faea0b9fd45a902707152211ccedcab336902a98cb2a049fa3a2d2153",
    30: "b6912ca5ebdedaa2dd812518eb7380d7f28cfcbfd37c5a55be0a8b0daebe3a1e",
    60: "ca22cad59168f48dc95b108ad3ea5e887854630f0b656af0768e1af9129dbbd4",
    90: "bf46f6ebc840dba8e4848b03bcfa5487a1360edf64590def3006321e19932250",
}
"""SHA-256 of the pixels of all faces, by the strength in per cent."""
CHUNK = 100
UNIT = 16
CLINIC_CHANCE = (10, 25, 40, 60, 80)
"""Per cent of each age group whose site is the clinic."""

SKINS = np.array(
    [[255, 224, 196], [241, 194, 160], [224, 172, 125], [198, 134, 92], [141, 92, 60], [92, 58, 40]]
)
HAIRS = np.array([[44, 34, 30], [92, 60, 34], [150, 98, 50], [205, 164, 96], [140, 56, 32]])
SHIRTS = np.array(
    [[70, 110, 170], [180, 80, 80], [80, 140, 100], [200, 160, 80], [110, 90, 150], [90, 100, 110]]
)
SKIES = np.array(
    [[196, 216, 232], [222, 208, 232], [206, 230, 214], [238, 222, 200], [226, 226, 226]]
)
GRAY_HAIR = np.array([208, 208, 212])
BLUSH, FOLD = np.array([45, -35, -25]), np.array([-60, -60, -60])
"""What the cues add to the skin: the same for every skin, so that no bias hides there."""


def load(name: str, root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Return the faces with the planted bias of that name; the split is 80:20 by the seed."""
    if size != SIZE:
        raise DatasetError(f"The toy faces are {SIZE}x{SIZE} pixels; size {size} is not available.")
    return draw_dataset(name=name, strength=STRENGTHS[name], seed=seed)


def draw_dataset(
    *,
    strength: float,
    seed: int = 0,
    n: int = N_FACES,
    name: str = "toyfaces",
) -> Dataset:
    """Return ``n`` faces with a planted bias of the given strength.

    Parameters
    ----------
    strength
        0: dim and bright faces are drawn alike; 1: the age cues of dim faces have a quarter
        of their contrast.
    seed
        Of the split into train and test; the faces themselves are always the same.
    n
        Number of faces; the first ``n`` of the same endless row.
    name
        What the dataset is called.

    Raises
    ------
    DatasetError
        If the strength is outside [0, 1].
    """
    if not 0 <= strength <= 1:
        raise DatasetError(f"strength={strength} is outside [0, 1].")
    images, samples = _faces(n, round(100 * strength))
    samples = samples.copy()
    split = np.full(n, "train", dtype=object)
    split[np.random.default_rng(seed).permutation(n)[: round(0.2 * n)]] = "test"
    samples.insert(1, "split", split)
    return make_dataset(
        Dataset(
            name=name,
            images=images,
            samples=samples,
            classes=CLASSES,
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            seed=seed,
        ),
        images.known_sha256,
    )


class DrawnFaces:
    """Images that are drawn when they are first asked for, a chunk at a time.

    It has of an array what `rbcore.datasets.Dataset` needs: its shape, its rows by number, and the
    whole by `numpy.asarray`.

    Attributes
    ----------
    shape
        (n, 3, 64, 64); the pixels are uint8.
    known_sha256
        What the pixels of all faces must have; None where nobody wrote it down.
    """

    def __init__(self, n: int, percent: int) -> None:
        self.shape = (n, 3, SIZE, SIZE)
        self.known_sha256 = PIXELS_SHA256.get(percent) if n == N_FACES else None
        self._percent = percent
        self._pixels = np.zeros(self.shape, np.uint8)
        self._is_drawn = np.zeros(n, bool)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return pixels as an array gives them, of rows or of (rows, channels, ...)."""
        first = rows[0] if isinstance(rows, tuple) else rows
        self._draw(np.unique(np.arange(len(self))[first] // CHUNK))
        drawn: np.ndarray = self._pixels[rows]
        return drawn

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all pixels."""
        return np.array(self[:], dtype=dtype, copy=copy)

    def _draw(self, chunks: np.ndarray) -> None:
        missing = [chunk for chunk in chunks if not self._is_drawn[chunk * CHUNK]]
        for chunk in missing:
            rows = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, len(self)))
            drawn, _ = _draw_chunk(chunk, self._percent)
            self._pixels[rows] = drawn[: rows.stop - rows.start].transpose(0, 3, 1, 2)
            self._is_drawn[rows] = True
        if missing and self.known_sha256 and self._is_drawn.all():
            found = hashlib.sha256(self._pixels.data).hexdigest()
            if found != self.known_sha256:
                raise DatasetError(
                    f"The toy faces drawn here have the SHA-256 {found[:12]}..., and not "
                    f"{self.known_sha256[:12]}...: numpy {np.__version__} draws other numbers. "
                    "Install the version that requirements.txt names."
                )


@lru_cache(maxsize=2)
def _faces(n: int, percent: int) -> tuple[DrawnFaces, pd.DataFrame]:
    """Return the faces, not drawn yet, and their samples; the last two are kept."""
    facts = [_draw_chunk(chunk, percent, is_painted=False)[1] for chunk in range(-(-n // CHUNK))]
    samples = pd.DataFrame(
        {name: np.concatenate([own[name] for own in facts])[:n] for name in facts[0]}
    )
    samples.insert(0, "sample_id", [f"toyface-{row:05d}" for row in range(n)])
    return DrawnFaces(n, percent), samples


def _draw_chunk(
    chunk: int, percent: int, *, is_painted: bool = True
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return uint8 images (100, 64, 64, 3), or none of them, and the facts of their samples.

    Each chunk has its own random stream, and all is thrown before anything is painted.
    """
    random = np.random.RandomState(DRAWING_SEED + chunk * CHUNK)

    def pick(low: int, high: int) -> np.ndarray:
        """Return one integer a face from low to high, shaped to broadcast over its pixels."""
        return random.randint(low, high + 1, size=CHUNK, dtype=np.int32)[:, None, None]

    def color(choices: np.ndarray, spread: int) -> np.ndarray:
        base = choices[random.randint(len(choices), size=CHUNK)] + random.randint(
            -spread, spread + 1, size=(CHUNK, 1)
        )
        varied: np.ndarray = np.clip(base + random.randint(-4, 5, size=(CHUNK, 3)), 0, 255).astype(
            np.int32
        )
        return varied

    label = random.randint(len(CLASSES), size=CHUNK)
    ends = np.array([*AGE_STARTS[1:], OLDEST])
    age = (
        np.array(AGE_STARTS)[label]
        + random.randint(1 << 20, size=CHUNK) % (ends - np.array(AGE_STARTS))[label]
    )
    is_dim = random.randint(2, size=CHUNK).astype(bool)
    contrast = np.where(is_dim, 256 - 192 * percent // 100, 256)[:, None, None].astype(np.int32)
    years = age[:, None, None].astype(np.int32)

    def cue(amount: np.ndarray) -> np.ndarray:
        """Return a cue of 0 to 256 with its own blur, at the contrast of the light."""
        seen: np.ndarray = np.clip(amount + pick(-36, 36), 0, 256) * contrast >> 8
        return seen

    blush = cue(np.clip((32 - years) * 8, 0, 256))
    wrinkles = cue(np.clip((years - 20) * 4, 0, 256))
    graying = cue(np.clip((years - 35) * 6, 0, 256))

    cx, cy = pick(30 * UNIT, 33 * UNIT), pick(33 * UNIT, 36 * UNIT)
    width, height = pick(15 * UNIT, 18 * UNIT), pick(19 * UNIT, 22 * UNIT)
    skin, hair, shirt, sky = color(SKINS, 10), color(HAIRS, 10), color(SHIRTS, 15), color(SKIES, 8)
    long_hair, hairline = pick(0, 8 * UNIT), pick(-14 * UNIT, -11 * UNIT)
    eye_gap, eye = pick(6 * UNIT, 7 * UNIT), pick(38, 46)
    gaze, brow = pick(-10, 10), pick(-6 * UNIT, -5 * UNIT)
    iris = color(np.array([[70, 50, 36], [60, 90, 60], [60, 84, 120]]), 12)
    mouth, smile = pick(4 * UNIT, 6 * UNIT), pick(4, 40)
    grain = random.randint(-5, 6, size=(CHUNK, SIZE, SIZE, 1), dtype=np.int32)
    camera = np.array(["A", "B"])[random.randint(2, size=CHUNK)]
    is_clinic = random.randint(100, size=CHUNK) < np.array(CLINIC_CHANCE)[label]
    facts = {
        "label": label,
        "lighting": np.where(is_dim, "dim", "bright"),
        "camera": camera,
        "site": np.where(is_clinic, "clinic", "school"),
        "age": age,
    }
    if not is_painted:
        return np.empty((0, SIZE, SIZE, 3), np.uint8), facts

    x, y = np.meshgrid(
        np.arange(SIZE, dtype=np.int32) * UNIT, np.arange(SIZE, dtype=np.int32) * UNIT
    )
    x, y = x[None], y[None]
    hair_drawn = hair + ((GRAY_HAIR - hair) * graying[:, :, 0] >> 8)
    dusk = np.where(is_dim, 256 - 110 * percent // 100, 256)[:, None, None].astype(np.int32)

    canvas = np.empty((CHUNK, SIZE, SIZE, 3), np.int32)
    shade = (256 - (y * 48 // (SIZE * UNIT))) * dusk >> 8
    canvas[:] = sky[:, None, None, :] * shade[..., None] >> 8

    def paint(cover: np.ndarray, colors: np.ndarray) -> None:
        rows, columns = (
            np.flatnonzero(cover.any(axis=(0, 2))),
            np.flatnonzero(cover.any(axis=(0, 1))),
        )
        if len(rows):
            box = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            canvas[box] += (colors[:, None, None, :].astype(np.int32) - canvas[box]) * cover[box][
                ..., None
            ] >> 8

    def ellipse(
        dx: np.ndarray | int, dy: np.ndarray | int, rx: np.ndarray | int, ry: np.ndarray | int
    ) -> np.ndarray:
        """Cover, 0 to 256, of an ellipse around a point off the face's center."""
        q = (x - cx - dx) ** 2 * 1024 // (rx * rx) + (y - cy - dy) ** 2 * 1024 // (ry * ry)
        cover: np.ndarray = np.clip(128 + (1024 - q) * np.minimum(rx, ry) // 128, 0, 256)
        return cover

    def stroke(
        dx: np.ndarray | int,
        dy: np.ndarray | int,
        half: np.ndarray | int,
        bend: np.ndarray | int,
        thick: int,
    ) -> np.ndarray:
        """Cover of a bent horizontal line of half length ``half``.

        Positive ``bend`` lifts its ends.
        """
        along = x - cx - dx
        off = np.abs(y - cy - dy + bend * along * along // (half * half))
        ends = np.clip((half - np.abs(along)) * 256 // (2 * UNIT), 0, 256)
        cover: np.ndarray = np.clip(256 - off * 256 // thick, 0, 256) * ends >> 8
        return cover

    darker = skin * 200 >> 8
    paint(ellipse(0, 36 * UNIT, 26 * UNIT, 16 * UNIT), shirt)
    paint(ellipse(0, long_hair - 3 * UNIT, width + 3 * UNIT, height + 2 * UNIT), hair_drawn)
    paint(ellipse(0, 18 * UNIT, 6 * UNIT, 9 * UNIT), darker)
    for side in (-1, 1):
        paint(ellipse(side * width, 0, 3 * UNIT, 4 * UNIT), darker)
    head = ellipse(0, 0, width, height)
    paint(head, skin)
    fringe = np.clip(128 + (hairline + (x - cx) ** 2 // (24 * UNIT) - (y - cy)) * 16, 0, 256)
    paint(np.minimum(head, fringe), hair_drawn)

    white, black = np.full((CHUNK, 3), 248), np.full((CHUNK, 3), 16)
    for side in (-1, 1):
        paint(ellipse(side * eye_gap, -2 * UNIT, eye + 8, eye * 3 // 4), white)
        paint(ellipse(side * eye_gap + gaze, -2 * UNIT, 26, 28), iris)
        paint(ellipse(side * eye_gap + gaze, -2 * UNIT, 12, 13), black)
        paint(stroke(side * eye_gap, brow, 4 * UNIT, -12, 20), hair * 160 >> 8)
    paint(stroke(0, 5 * UNIT, 2 * UNIT, 14, 14), darker * 200 >> 8)
    lips = np.clip(skin - np.array([10, 70, 60]), 0, 255)
    paint(stroke(0, 11 * UNIT, mouth, smile, 24), lips)

    rosy, lines = np.clip(skin + BLUSH, 0, 255), np.clip(skin + FOLD, 0, 255)
    for side in (-1, 1):
        far = (x - cx - side * (eye_gap + 2 * UNIT)) ** 2 + (y - cy - 5 * UNIT) ** 2
        paint(np.clip(256 - far * 256 // (6 * UNIT) ** 2, 0, 256) * blush >> 8, rosy)
    for row in (-10, -8, -6):
        paint(
            np.minimum(stroke(0, row * UNIT, 8 * UNIT, 10, 15), 256 - fringe) * wrinkles >> 8, lines
        )
    for side in (-1, 1):
        paint(stroke(side * (eye_gap + UNIT), 2 * UNIT, 4 * UNIT, 30, 15) * wrinkles >> 8, lines)
        paint(stroke(side * 8 * UNIT, 9 * UNIT, 3 * UNIT, -60, 18) * wrinkles >> 8, lines)

    return np.clip(canvas + grain, 0, 255).astype(np.uint8), facts


for _name, _strength in STRENGTHS.items():
    DATASETS.add(
        _name,
        DatasetSpec(
            name=_name,
            title=f"Toy faces (synthetic, bias of strength {_strength:g})",
            load=partial(load, _name),
            classes=CLASSES,
            class_title="age group",
            partitions=("class", "lighting", "camera", "site"),
            channels=3,
            default_size=SIZE,
            needs_folder=False,
            source="drawn by rbcore/datasets/toyfaces.py",
            license="MIT, as this project",
            caution=(
                "Synthetic: drawn by code, no person behind them. "
                + (
                    "A bias by lighting is planted"
                    if _strength
                    else "No bias by lighting is planted"
                )
                + (
                    ", camera is pure chance, and site only follows the age group; what is found "
                    "here is known in advance and says nothing about people."
                )
            ),
            shown_by="lighting",
            n_train=N_FACES * 4 // 5,
            n_test=N_FACES // 5,
        ),
    )
