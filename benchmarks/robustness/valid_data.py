"""Unusual but valid images and tables, as real programs write them, with the right values."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import rbcore as rb
from benchmarks.robustness.cases import SAME, VALID, WRONG, Case, Outcome, same_as
from benchmarks.robustness.world import World
from rbcore.partitions import group_labels

FILES = [f"{name}/{k}.png" for name in ("cat", "dog") for k in range(10)]
N = len(FILES)
ORIENTATION = 0x0112


def write_images(folder: Path, files: list[str] = FILES) -> None:
    """Write small images of noise."""
    for seed, file in enumerate(files):
        path = folder / "mine" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(
            path, format="PNG" if path.suffix.lower() == ".png" else "JPEG"
        )


def loaded(folder: Path) -> rb.datasets.Dataset:
    """Load the folder that a case has made."""
    return rb.load_dataset("folder", root=folder / "mine", size=8)


# -- tables ----------------------------------------------------------------------------------------


def text_of(
    rows: list[list[str]], separator: str = ",", end: str = "\r\n", quoting: int = csv.QUOTE_MINIMAL
) -> str:
    """Return rows as CSV."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, lineterminator=end, quoting=quoting).writerows(rows)
    return buffer.getvalue()


def table_case(
    name: str, content: bytes, by: str, expected: dict[str, int], file: str = "metadata.csv"
) -> Case:
    """Return the case of one table of attributes and the sizes of the groups it makes."""

    def make(folder: Path) -> None:
        write_images(folder)
        (folder / "mine" / file).write_bytes(content)

    def act(folder: Path) -> object:
        return group_labels(loaded(folder).samples, by).value_counts().to_dict()

    return Case(VALID, "tables", name, act, same_as(expected), make)


def tables() -> list[Case]:
    """Return tables in every separator, encoding, line end and quoting, with unusual values."""
    cases = []
    rows = [["file", "camera"], *([file, "AB"[k % 2]] for k, file in enumerate(FILES))]
    half = {"A": N // 2, "B": N // 2}
    for separator in (",", ";", "\t"):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
            for end in ("\n", "\r\n", "\r"):
                content = text_of(rows, separator, end).encode(encoding)
                cases.append(
                    table_case(f"{separator!r} {encoding} {end!r}", content, "camera", half)
                )
        quoted = text_of(rows, separator, quoting=csv.QUOTE_ALL).encode()
        cases.append(table_case(f"{separator!r} all quoted", quoted, "camera", half))
        said = f"sep={separator}\r\n{text_of(rows, separator)}".encode()
        cases.append(table_case(f"{separator!r} named by Excel", said, "camera", half))
    cases.append(table_case("METADATA.CSV", text_of(rows).encode(), "camera", half, "METADATA.CSV"))
    cases.append(
        table_case("column File", text_of([["File", "camera"], *rows[1:]]).encode(), "camera", half)
    )
    for marker in (
        "NaN",
        "nan",
        "None",
        "NONE",
        "N/A",
        "n/a",
        "NA",
        "null",
        "NULL",
        "?",
        "-",
        "",
        "  ",
        "unknown",
        "#N/A",
    ):
        marked = [
            ["file", "race"],
            *([file, marker if k % 4 == 0 else "White"] for k, file in enumerate(FILES)),
        ]
        expected = {"White": N * 3 // 4, "unknown": N // 4}
        cases.append(
            table_case(
                f"missing {marker!r} among groups", text_of(marked).encode(), "race", expected
            )
        )
        ages = [
            ["file", "age"],
            *([file, marker if k % 4 == 0 else str(20 + k)] for k, file in enumerate(FILES)),
        ]
        bins = {"<30": 7, "30+": 8, "unknown": 5}
        cases.append(
            table_case(f"missing {marker!r} among numbers", text_of(ages).encode(), "age:30", bins)
        )
    for odd in ("old", "25 years", "1e999", "1_0", "٣"):
        ages = [
            ["file", "age"],
            *([file, odd if k == 3 else str(20 + k)] for k, file in enumerate(FILES)),
        ]
        cases.append(
            table_case(
                f"one odd age {odd!r}",
                text_of(ages).encode(),
                "age:30",
                {"<30": 9, "30+": 10, "unknown": 1},
            )
        )
    spellings = {
        "accents": ("Métis", "Me\u0301tis", "Métis"),
        "a zero-width space": ("White", "\u200bWhite", "White"),
        "a soft hyphen": ("White", "Wh\u00adite", "White"),
        "a mark of direction": ("White", "White\u200e", "White"),
        "a space at the end": ("White", "White  ", "White"),
        "a space that does not break": ("New York", "New\u00a0York", "New York"),
        "capitals": ("white", "White", "White"),
    }
    for name, (one, other, shown) in spellings.items():
        joined = [
            ["file", "race"],
            *([file, one if k % 2 else other] for k, file in enumerate(FILES)),
        ]
        cases.append(
            table_case(f"two spellings: {name}", text_of(joined).encode(), "race", {shown: N})
        )
    codes = [
        ["file", "race"],
        *([file, "" if k == 0 else str(k % 4)] for k, file in enumerate(FILES)),
    ]
    cases.append(
        table_case(
            "codes", text_of(codes).encode(), "race", {"0": 4, "1": 5, "2": 5, "3": 5, "unknown": 1}
        )
    )
    cases.append(
        table_case(
            "codes in bins", text_of(codes).encode(), "race:2", {"<2": 9, "2+": 10, "unknown": 1}
        )
    )
    commas = [["file", "weight"], *([file, f"{k},5"] for k, file in enumerate(FILES))]
    cases.append(
        table_case(
            "decimal commas", text_of(commas, ";").encode(), "weight:10", {"<10": 10, "10+": 10}
        )
    )
    return cases


# -- pictures --------------------------------------------------------------------------------------


def picture_case(
    name: str, save: Callable[[Path], object], expected: np.ndarray, file: str, within: int = 0
) -> Case:
    """Return the case of one picture and the pixels that a person sees, uint8 (8, 8, 3)."""

    def make(folder: Path) -> None:
        write_images(folder)
        save(folder / "mine" / "cat" / file)

    def act(folder: Path) -> object:
        data = loaded(folder)
        return np.asarray(data.images[data.rows_of([f"cat/{file}"])[0]]).transpose(1, 2, 0)

    def judge(found: object) -> Outcome:
        off = int(np.abs(np.asarray(found, int) - expected.astype(int)).max())
        return Outcome(SAME) if off <= within else Outcome(WRONG, f"off by {off} levels")

    return Case(VALID, "pictures", name, act, judge, make)


def pictures() -> list[Case]:
    """Return pictures of every mode, depth, opacity, rotation, suffix and script, 8 x 8 pixels."""
    cases = []
    noise = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    names = (
        "a.PNG",
        "a.Png",
        "é.png",
        "e\u0301.png",
        "日本.png",
        "😀.png",
        "a b.png",
        "мама.PNG",
        "قطة.png",
        "-.png",
    )
    cases += [
        picture_case(f"name {name}", lambda path: image.save(path, format="PNG"), noise, name)
        for name in names
    ]
    for orientation, turn in enumerate(
        (None, 0, 3, 1, 5, 4, 6, 2), 1
    ):  # what undoes each, as Pillow numbers it
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        shown = np.asarray(image if turn is None else image.transpose(Image.Transpose(turn)))

        def save(path: Path, exif: Image.Exif = exif) -> None:
            image.save(path, exif=exif)

        cases.append(picture_case(f"EXIF orientation {orientation}", save, shown, "turned.png"))
    for alpha in (0, 1, 64, 128, 254, 255):
        clear = np.dstack([noise, np.full((8, 8), alpha, np.uint8)])
        seen = np.rint((noise.astype(float) * alpha + 255.0 * (255 - alpha)) / 255).astype(np.uint8)

        def save(path: Path, clear: np.ndarray = clear) -> None:
            Image.fromarray(clear).save(path)

        cases.append(picture_case(f"opacity {alpha}", save, seen, "clear.png", within=1))
    for cyan, magenta, yellow, black in (
        (0, 0, 0, 0),
        (255, 0, 0, 0),
        (0, 255, 0, 0),
        (0, 0, 255, 0),
        (90, 40, 200, 0),
    ):
        ink = Image.new("CMYK", (8, 8), (cyan, magenta, yellow, black))
        seen = np.full((8, 8, 3), (255 - cyan, 255 - magenta, 255 - yellow), np.uint8)

        def save(path: Path, ink: Image.Image = ink) -> None:
            ink.save(path, format="JPEG", quality=100, subsampling=0)

        cases.append(
            picture_case(f"CMYK {cyan} {magenta} {yellow}", save, seen, "ink.jpg", within=3)
        )
    for level in (0, 257, 10_000, 32_768, 65_535):
        gray = np.full((8, 8), level, np.uint16)

        def save(path: Path, gray: np.ndarray = gray) -> None:
            Image.fromarray(gray).save(path)

        seen = np.full((8, 8, 3), round(level / 257), np.uint8)
        cases.append(picture_case(f"16 bits, level {level}", save, seen, "deep.png", within=1))
    for mode in ("1", "L", "P", "LA", "RGBA"):
        made = image.quantize(16) if mode == "P" else image.convert(mode)

        def save(path: Path, made: Image.Image = made) -> None:
            made.save(path)

        cases.append(
            picture_case(f"mode {mode}", save, np.asarray(made.convert("RGB")), "mode.png")
        )
    return cases


def class_cases() -> list[Case]:
    """Return folders of classes whose names are one, or are not."""
    cases = []
    for name, train, test, n in (
        ("two spellings of an accent", "café", "cafe\u0301", 2),
        ("an invisible letter", "owl", "owl\u200b", 2),
        ("letters in two cases", "a", "A", 3),
    ):

        def make(folder: Path, train: str = train, test: str = test) -> None:
            write_images(folder, [f"train/{c}/{k}.png" for c in ("bar", train) for k in range(3)])
            write_images(folder, [f"test/{c}/{k}.png" for c in ("bar", test) for k in range(3)])

        def act(folder: Path) -> object:
            data = loaded(folder)
            return (
                len(data.classes),
                len(data.samples),
                any("class folders" in note for note in data.notes),
            )

        cases.append(Case(VALID, "classes", name, act, same_as((n, 12, True)), make))
    return cases


def valid_data_cases(world: World | None = None, seed: int = 0) -> list[Case]:
    """Return every case of odd but valid data.

    They depend on neither argument, which all families take.
    """
    return [*tables(), *pictures(), *class_cases()]
