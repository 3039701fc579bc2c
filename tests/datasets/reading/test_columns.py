import pytest

from benchmarks.layouts import write_celeba, write_class_folders
from rbcore.datasets import load_dataset
from rbcore.datasets.celeba import ATTRIBUTES
from rbcore.datasets.reading.columns import Cell, read_column
from rbcore.datasets.utkface import parse_name
from rbcore.errors import DatasetError


def column(name, *texts, **options):
    return read_column(
        name,
        [None if text is None else Cell(text, line) for line, text in enumerate(texts, 2)],
        **options,
    )


def test_what_was_decided_about_a_column_is_said_in_one_line():
    assert column("race", "a", "b", "NA", None, "a").note == "race: 2 groups, 2 missing (line 4)"
    ages = column(
        "age", "20", "59", "old", "30", "41", "?", *["25"] * 9, *[str(k) for k in range(30, 45)]
    )
    assert ages.note == (
        "age: numbers 20 to 59, 1 not a number (line 4), in the group unknown, 1 missing (line "
        "7), use bins such as age:25,37"
    )
    assert ages.odd == ((4, "'old' in the column 'age' is not a number, so it counts as unknown"),)
    codes = column("race", *"01234" * 6)
    assert codes.note == "race: numbers 0 to 4, 5 groups as they are, or bins such as race:1,3"
    assert column("x", "white", "White", "White").note == "x: 1 group, 'white' counted as 'White'"
    assert column("x", "", "?").note == "x: left out, since it holds no value"


def test_a_column_of_80_000_is_refused_at_once(tmp_path):
    """It took over 25 s before: the names were compared two by two."""
    write_class_folders(tmp_path)
    header = ",".join(f"c{k}" for k in range(80_000))
    (tmp_path / "metadata.csv").write_text(f"file,{header}\ncat/0.jpg,{','.join(['1'] * 80_000)}\n")
    with pytest.raises(
        DatasetError, match=r"has 80,001 columns; keep those that groups are made of, at most 1,000"
    ):
        load_dataset("folder", root=tmp_path, size=16)


def test_a_fact_of_a_face_that_was_corrected_to_missing_is_unknown():
    assert parse_name("25_NA_1_2017.jpg") == {"gender": "unknown", "race": "Black", "age": 25}
    assert parse_name("25_0_none_2017.jpg") == {"gender": "male", "race": "unknown", "age": 25}
    assert isinstance(parse_name("25_x_1_2017.jpg"), str) and isinstance(
        parse_name("53__0_2017.jpg"), str
    )


def test_an_attribute_of_celeba_that_is_missing_is_unknown_and_a_missing_label_leaves_the_image_out(
    tmp_path,
):
    write_celeba(tmp_path)
    path = next(tmp_path.rglob("list_attr_celeba.txt"))
    lines = path.read_text().splitlines()
    for number, name in ((2, "Male"), (3, "Smiling")):
        fields = lines[number].split()
        fields[1 + ATTRIBUTES.index(name)] = "?"
        lines[number] = " ".join(fields)
    path.write_text("\n".join(lines))
    dataset = load_dataset("celeba", root=tmp_path, size=16, checksum=False)
    samples = dataset.samples.set_index("sample_id")
    assert samples.loc["000001.jpg", "Male"] == "unknown" and "000002.jpg" not in samples.index
    assert any(skip.file == "000002.jpg" and "no label" in skip.reason for skip in dataset.skipped)
