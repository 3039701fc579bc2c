"""Foreign ``metadata.csv`` files: intact lines keep their values, bad ones are reported."""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rbcore as rb
from benchmarks.robustness.cases import HOSTILE, SAME, WRONG, Case, Outcome, must_refuse
from benchmarks.robustness.world import World, facts_of_images

KIND = "metadata.csv"
LINES = 260
"""Cases with some bad lines."""
Line = Callable[[list[str]], str]
"""Turns a line's three values (file, camera, age) into the text that stands in its place."""
MISSING = ("", " ", "NA", "N/A", "NaN", "nan", "null", "None", "?", "-")


@dataclass(frozen=True)
class Bad:
    """How a line is made bad: what stands there, and the values it may then give, besides none."""

    name: str
    line: Line
    values: tuple[str, ...] = ()


def bad_lines() -> list[Bad]:
    """Return every way in which a line can be bad."""
    return [
        Bad("dropped", lambda line: ""),
        Bad("one value short", lambda line: ",".join(line[:2])),
        Bad("one value more", lambda line: ",".join([*line, "x"])),
        Bad("cut within a quoted value", lambda line: f'"{line[0]}","{line[1]}'),
        Bad("quotes within a value", lambda line: f'{line[0]},a"b"c,{line[2]}', ('a"b"c',)),
        Bad("a NUL", lambda line: f"{line[0]},A\0,{line[2]}"),
        Bad("a bell", lambda line: f"{line[0]},A\a,{line[2]}"),
        Bad("an escape code", lambda line: f"{line[0]},\x1b[31mA,{line[2]}"),
        Bad("a value of 100,000 letters", lambda line: f"{line[0]},{'A' * 100_000},{line[2]}"),
        Bad(
            "a formula",
            lambda line: f"{line[0]},=cmd|' /C calc'!A0,{line[2]}",
            ("=cmd|' /C calc'!A0",),
        ),
        Bad(
            "markup",
            lambda line: f"{line[0]},<script>alert(1)</script>,{line[2]}",
            ("<script>alert(1)</script>",),
        ),
        Bad(
            "a right-to-left override",
            lambda line: f"{line[0]},\u202eA,{line[2]}",
            ("\u202eA", "A"),
        ),
        Bad("a lone carriage return", lambda line: f"{line[0]},A\rB,{line[2]}"),
        Bad("an absolute path", lambda line: f"/etc/passwd,{line[1]},{line[2]}"),
        Bad("a drive", lambda line: f"C:\\images\\x.png,{line[1]},{line[2]}"),
        Bad("a path that leads outside", lambda line: f"../../{line[0]},{line[1]},{line[2]}"),
        Bad(
            "a path through another folder",
            lambda line: f"train/../{line[0]},{line[1]},{line[2]}",
            ("A", "B"),
        ),
        Bad(
            "another letter case", lambda line: f"{line[0].upper()},{line[1]},{line[2]}", ("A", "B")
        ),
        Bad("a file that does not exist", lambda line: f"nosuch.png,{line[1]},{line[2]}"),
        Bad("no file", lambda line: f",{line[1]},{line[2]}"),
        Bad("only commas", lambda line: ",,"),
        Bad(
            "binary",
            lambda line: "".join(chr(number) for number in range(1, 32) if number not in (10, 13)),
        ),
        *(
            Bad(f"camera {text!r}", lambda line, text=text: f"{line[0]},{text},{line[2]}")
            for text in MISSING
        ),
    ]


def metadata_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield files with some bad lines, and files that are odd as a whole."""
    draw = random.Random(seed)  # noqa: S311
    lines = [line.split(",") for line in (world.images / "metadata.csv").read_text().splitlines()]
    kinds = bad_lines()
    for number in range(LINES):
        chosen = {draw.randrange(1, len(lines)): kinds[number % len(kinds)]}
        if number >= len(kinds):
            chosen |= {
                draw.randrange(1, len(lines)): draw.choice(kinds) for _ in range(draw.randrange(3))
            }
        yield _lines_case(world, lines, chosen)
    for name, content, expected in whole_files(lines):
        yield _whole_case(world, name, content, expected)


def _lines_case(world: World, lines: list[list[str]], bad: dict[int, Bad]) -> Case:
    text = "".join(
        f"{bad[place].line(line) if place in bad else ','.join(line)}\n"
        for place, line in enumerate(lines)
    )
    name = "; ".join(f"line {place + 1} {how.name}" for place, how in sorted(bad.items()))
    allowed = {line[0]: {line[1]} for line in lines[1:]}
    for place, how in bad.items():
        allowed[lines[place][0]] = {"unknown", *how.values}
    # A quote that is never closed takes the lines below it along; a lone carriage
    # return ends a line.
    is_open = any(how.name == "cut within a quoted value" for how in bad.values())
    if is_open:
        first = min(place for place, how in bad.items() if how.name == "cut within a quoted value")
        for line in lines[first:]:
            allowed[line[0]] = allowed[line[0]] | {"unknown"}
    return _case(world, name, text.encode("utf-8", "surrogateescape"), allowed)


def _case(world: World, name: str, content: bytes, allowed: dict[str, set[str]]) -> Case:
    def act(folder: Path) -> dict[str, Any]:
        dataset = rb.load_dataset("folder", root=folder / "images", size=16)
        return {
            "facts": facts_of_images(dataset),
            "said": [*dataset.notes, *(skip.reason for skip in dataset.skipped)],
        }

    def judge(found: dict[str, Any]) -> Outcome:
        facts, right = found["facts"], world.facts["images"]
        if facts["pixels"] != right["pixels"]:
            return Outcome(WRONG, "other pixels")
        for sample, row in facts["samples"].items():
            known = right["samples"][sample]
            if any(row[fact] != known[fact] for fact in ("split", "label", "class")):
                return Outcome(WRONG, f"{sample}: {row} instead of {known}")
            value = str(row.get("camera", "unknown"))
            if value not in allowed[sample]:
                return Outcome(
                    WRONG, f"{sample}: camera {value!r:.80} instead of {allowed[sample]}"
                )
        is_lacking = any(
            row.get("camera", "unknown") == "unknown" for row in facts["samples"].values()
        )
        if is_lacking and not found["said"]:
            return Outcome(WRONG, "values are missing and nothing is said")
        return Outcome(SAME)

    return Case(
        HOSTILE,
        KIND,
        name,
        act,
        judge,
        make=lambda folder: _put(world, folder, content),
        names=("metadata.csv",),
    )


def _put(world: World, folder: Path, content: bytes) -> None:
    shutil.copytree(world.images, folder / "images")
    (folder / "images" / "metadata.csv").write_bytes(content)


def _whole_case(world: World, name: str, content: bytes, expected: dict[str, str] | None) -> Case:
    if expected is None:
        return Case(
            HOSTILE,
            KIND,
            name,
            act=lambda folder: (
                rb.load_dataset("folder", root=folder / "images", size=16).partitions
            ),
            judge=must_refuse,
            make=lambda folder: _put(world, folder, content),
            names=("metadata.csv",),
        )
    allowed = {file: {value, "unknown"} for file, value in expected.items()}
    return _case(world, name, content, allowed)


def whole_files(lines: list[list[str]]) -> Iterator[tuple[str, bytes, dict[str, str] | None]]:
    """Yield what a whole file can hold, and the values it may give.

    None where it must be refused.
    """
    right = {line[0]: line[1] for line in lines[1:]}
    text = "".join(f"{','.join(line)}\n" for line in lines)
    nothing = dict.fromkeys(right, "unknown")
    yield "empty", b"", None
    yield "only line breaks", b"\n" * 1000, None
    yield "only a header", b"file,camera,age\n", nothing
    yield "no header", text.partition("\n")[2].encode(), None
    yield "an image", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, None
    yield "a zip", b"PK\x03\x04" + bytes(2000), None
    yield "HTML", b"<!doctype html><html><body>404 file not found</body></html>", None
    yield "a megabyte of quotes", b'"' * 1_000_000, None
    yield "a megabyte of commas", b"," * 1_000_000, None
    yield "a megabyte of NUL", bytes(1_000_000), None
    yield "one column of the name file only", text.replace(",camera,age", "").encode(), nothing
    yield (
        "80,000 columns in the header",
        f"file,{','.join(f'c{k}' for k in range(80_000))}\n".encode(),
        nothing,
    )
    wide = f"file,camera,{','.join(f'c{k}' for k in range(20_000))}\n"
    wide += "".join(f"{file},{value}{',x' * 20_000}\n" for file, value in right.items())
    yield "20,000 columns with values", wide.encode(), right
    yield "80,000 columns of one name", f"file,{'a,' * 80_000}a\n".encode(), nothing
    yield (
        "300,000 lines of files that do not exist",
        (text + "nosuch.png,A,3\n" * 300_000).encode(),
        right,
    )
    yield "100,000 lines of one file", (text + f"{lines[1][0]},B,3\n" * 100_000).encode(), right
    yield "a header of a megabyte in one cell", f"file,{'c' * 1_000_000}\n".encode(), nothing
    yield "UTF-16 cut in half", text.encode("utf-16")[:-1], right
    yield "UTF-16 without its mark", text.encode("utf-16-le"), right
    yield "UTF-32", text.encode("utf-32"), right
    yield (
        "UTF-7 look",
        text.replace("A", "+AEE-").encode(),
        {f: v.replace("A", "+AEE-") for f, v in right.items()},
    )
    yield (
        "Latin-1",
        text.replace("A", "é").encode("latin-1"),
        {f: v.replace("A", "é") for f, v in right.items()},
    )
    yield "bad bytes in the last line", text.encode() + b"train/cat/0.png,\xff\xfe,3\n", right
    for name in (
        "label",
        "split",
        "class",
        "sample_id",
        "distance",
        "status",
        "is_correct",
        "prediction",
        "a*b",
        "a:b",
    ):
        yield (
            f"a column called {name}",
            text.replace("camera", f"{name},camera").replace(".png,", ".png,x,").encode(),
            right,
        )
    for name in (
        "\x1b[31mred",
        "<b>x</b>",
        "=1+1",
        "x" * 5000,
        " ",
        "\u202eabc",
        "constructor",
        "__class__",
        "\ufeff",
    ):
        content = text.replace("camera", f"{name},camera").replace(".png,", ".png,x,")
        yield f"a column called {name[:12]!r}", content.encode(), right
    yield (
        "the column file twice",
        text.replace("camera", "file,camera").replace(".png,", ".png,x,").encode(),
        right,
    )
    yield (
        "the column camera twice",
        text.replace("camera", "camera,camera").replace(".png,", ".png,x,").encode(),
        dict.fromkeys(right, "x"),
    )
    twice = text.replace("camera", "camera,Camera").replace(".png,", ".png,x,")
    yield "columns that differ in case", twice.encode(), dict.fromkeys(right, "x")
    yield (
        "column names that differ by an invisible character",
        text.replace("age", "camera\u200b").encode(),
        right,
    )
    yield (
        "values that differ by an invisible character",
        _every_other(lines, lambda v: f"{v}\u200b").encode(),
        right,
    )
    yield "values that differ by a space", _every_other(lines, lambda v: f" {v} ").encode(), right
    yield (
        "values that differ by a no-break space",
        _every_other(lines, lambda v: f"{v}\xa0").encode(),
        right,
    )
    accented = {file: "é" if value == "A" else value for file, value in right.items()}
    mixed = "".join(
        ",".join(
            [line[0], ("e\u0301" if place % 2 else "é") if line[1] == "A" else line[1], line[2]]
        )
        + "\n"
        for place, line in enumerate(lines)
    )
    yield "values in two Unicode forms", mixed.encode(), accented
    for number in ("nan", "inf", "1e999", "-", "?", "0x10", "1_0", "٣", "1,5", "12 "):
        content = text.replace(",20\n", f",{number}\n" if "," not in number else f',"{number}"\n')
        yield f"an age {number!r}", content.encode(), right


def _every_other(lines: list[list[str]], change: Callable[[str], str]) -> str:
    rows = [
        [line[0], change(line[1]) if place % 2 and place else line[1], line[2]]
        for place, line in enumerate(lines)
    ]
    return "".join(",".join(row) + "\n" for row in rows)
