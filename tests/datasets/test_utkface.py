import numpy as np
import pytest
from PIL import Image

from benchmarks.layouts import write_faces
from rbcore.datasets import load_dataset
from rbcore.datasets.utkface import parse_name
from rbcore.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1_0_2_20161219140623097.jpg", {"age": 1, "gender": "male", "race": "Asian"}),
        (
            "61_1_4_20170109142408075.jpg.chip.jpg",
            {"age": 61, "gender": "female", "race": "Others"},
        ),
        ("110_1_0_20170109142408075.JPG", {"age": 110, "gender": "female", "race": "White"}),
        ("61_1_20170109142408075.jpg.chip.jpg", "the name is not"),
        ("61_3_0_20170109150557335.jpg.chip.jpg", "gender 3"),
        ("61_1_7_20170109150557335.jpg.chip.jpg", "race 7"),
        ("161_1_1_20170109150557335.jpg", "age 161"),
        ("portrait.jpg", "the name is not"),
    ],
)
def test_names_are_read_or_refused(name, expected):
    parsed = parse_name(name)
    assert parsed == expected if isinstance(expected, dict) else parsed.startswith(expected)


@pytest.mark.parametrize(
    ("age", "label"),
    [(0, 0), (14, 0), (15, 1), (24, 1), (25, 2), (40, 3), (59, 3), (60, 4), (116, 4)],
)
def test_age_bins_are_closed_on_the_left(tmp_path, age, label):
    write_faces(tmp_path)
    Image.new("RGB", (20, 20)).save(tmp_path / f"{age}_0_0_20170109142408999.jpg")
    samples = load_dataset("utkface", root=tmp_path).samples
    assert (
        samples.loc[samples["sample_id"] == f"{age}_0_0_20170109142408999.jpg", "label"].item()
        == label
    )


def test_a_skipped_file_never_lends_its_labels(tmp_path):
    """The pixels of every image must be those of the file its row names, whatever was
    skipped before it.
    """
    write_faces(tmp_path, n=30)
    names = sorted(path.name for path in tmp_path.glob("*.jpg"))
    (tmp_path / names[3]).write_bytes(b"this is no image")
    whole = (tmp_path / names[7]).read_bytes()
    (tmp_path / names[7]).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "61_1_20170109142408075.jpg").write_bytes(whole)
    dataset = load_dataset("utkface", root=tmp_path, size=16)
    skipped = {skip.file: skip.reason for skip in dataset.skipped}
    assert set(skipped) == {names[3], names[7], "61_1_20170109142408075.jpg"}
    assert (
        "no readable JPEG" in skipped[names[3]]
        and "the name is not" in skipped["61_1_20170109142408075.jpg"]
    )
    assert len(dataset.samples) == 28
    for row, sample in dataset.samples.iterrows():
        with Image.open(tmp_path / sample["sample_id"]) as image:
            expected = np.asarray(
                image.convert("RGB").resize((16, 16), Image.Resampling.BILINEAR)
            ).transpose(2, 0, 1)
        np.testing.assert_array_equal(dataset.images[row], expected)
        facts = parse_name(sample["sample_id"])
        assert (sample["age"], sample["gender"], sample["race"]) == (
            facts["age"],
            facts["gender"],
            facts["race"],
        )


def test_is_decoded_once_with_progress(tmp_path):
    write_faces(tmp_path, n=10)
    calls = []
    load_dataset("utkface", root=tmp_path, progress=lambda *call: calls.append(call))
    assert calls[-1][:2] == (10, 10)
    n_calls = len(calls)
    load_dataset("utkface", root=tmp_path, progress=lambda *call: calls.append(call))
    assert len(calls) == n_calls


def test_a_changed_file_is_decoded_again(tmp_path):
    write_faces(tmp_path, n=10)
    before = load_dataset("utkface", root=tmp_path).fingerprint
    Image.new("RGB", (40, 40), "red").save(sorted(tmp_path.glob("*.jpg"))[0])
    assert load_dataset("utkface", root=tmp_path).fingerprint != before


def test_the_same_name_in_two_folders_is_used_once_and_said(tmp_path):
    write_faces(tmp_path / "part1", n=10)
    write_faces(tmp_path / "part2", n=10)
    dataset = load_dataset("utkface", root=tmp_path)
    assert len(dataset.samples) == 10 and len(dataset.skipped) == 10
    assert "another file of the same name" in dataset.skipped[0].reason


def test_the_folder_comes_from_the_environment_or_is_remembered(tmp_path, monkeypatch):
    faces = write_faces(tmp_path / "faces", n=10)
    with pytest.raises(DatasetError, match="RBCORE_UTKFACE_ROOT"):
        load_dataset("utkface")
    monkeypatch.setenv("RBCORE_UTKFACE_ROOT", str(faces))
    assert len(load_dataset("utkface").samples) == 10
    monkeypatch.delenv("RBCORE_UTKFACE_ROOT")
    load_dataset("utkface", root=faces)
    assert len(load_dataset("utkface").samples) == 10


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        load_dataset("utkface", root=tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatasetError, match="is not a folder"):
        load_dataset("utkface", root=tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DatasetError, match=r"empty holds no \.jpg"):
        load_dataset("utkface", root=empty)
    (empty / "1_0_0_20170109142408999.jpg").write_bytes(b"no image")
    with pytest.raises(
        DatasetError,
        match=r"none could be used; the first, 1_0_0_20170109142408999\.jpg: no readable JPEG",
    ):
        load_dataset("utkface", root=empty)
    with pytest.raises(DatasetError, match="8 to 400 pixels, not 1000"):
        load_dataset("utkface", root=write_faces(tmp_path / "faces", n=5), size=1000)


def test_a_damaged_decoded_array_is_made_anew(tmp_path, cache):
    faces = write_faces(tmp_path / "faces", n=10)
    fingerprint = load_dataset("utkface", root=faces).fingerprint
    array = next((cache / "datasets").glob("*.npy"))
    array.write_bytes(array.read_bytes()[:100])
    assert load_dataset("utkface", root=faces).fingerprint == fingerprint
    assert len(array.read_bytes()) > 100


@pytest.mark.slow
def test_the_real_faces(shared_data):
    """Counts of the archive: 5,868 files, two with malformed names; the race and
    age of its makers.
    """
    dataset = load_dataset("utkface", root=shared_data / "utkface", size=16)
    assert len(dataset.samples) == 5866 and len(dataset.rows("test")) == 1173
    assert {skip.file for skip in dataset.skipped} == {
        "61_1_20170109142408075.jpg.chip.jpg",
        "61_3_20170109150557335.jpg.chip.jpg",
    }
    counts = dataset.samples["race"].value_counts()
    assert counts.idxmax() == "White" and set(counts.index) == {
        "White",
        "Black",
        "Asian",
        "Indian",
        "Others",
    }
