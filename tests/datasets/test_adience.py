import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from benchmarks.layouts import write_adience, write_folds, write_noise_image
from rbcore.datasets import load_dataset
from rbcore.datasets.adience import CLASSES, Face, parse_row, read_folds
from rbcore.errors import DatasetError

ROW = ["7@N03", "a_o.jpg", "12", "(25, 32)", "f", "0"]


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        (("(0, 2)", "2"), "0-2"),
        (("(4, 6)", "3"), "4-6"),
        (("(8, 12)", "13", "(8, 23)"), "8-13"),
        (("(15, 20)", "22"), "15-20"),
        (("(25, 32)", "23", "29", "34", "35", "(27, 32)"), "25-32"),
        (("(38, 43)", "36", "42", "45", "(38, 42)", "(38, 48)"), "38-43"),
        (("(48, 53)", "46", "55"), "48-53"),
        (("(60, 100)", "57", "58"), "60+"),
    ],
)
def test_stray_age_labels_go_where_the_paper_put_them(ages, expected):
    for age in ages:
        face = parse_row([*ROW[:3], age, "m"], "test")
        assert CLASSES[face.label] == expected and face.gender == "male"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW, Face("7@N03", "12", "a_o.jpg", "train", 4, "female")),
        ([*ROW[:3], "None", "f"], None),
        ([*ROW[:3], "", "f"], None),
        ([*ROW[:3], "(0, 2)", "u"], None),
        ([*ROW[:3], "(0, 2)", ""], None),
        (["", *ROW[1:]], "'' is not the name"),
        (ROW[:4], "4 fields instead of at least 5"),
        ([*ROW[:3], "56", "f"], "the age '56' belongs to no class"),
        (["../../etc", *ROW[1:]], "'../../etc' is not the name"),
        (["..", *ROW[1:]], "'..' is not the name"),
        ([ROW[0], "/etc/passwd", *ROW[2:]], "'/etc/passwd' is not the name"),
        ([*ROW[:2], "1\\..\\2", *ROW[3:]], "is not the name"),
    ],
)
def test_rows_are_read_or_refused(row, expected):
    found = parse_row(row, "train")
    assert expected in found if isinstance(expected, str) else found == expected


def test_folds_decide_the_split_and_names_are_found(tmp_path):
    dataset = load_dataset("adience", root=write_adience(tmp_path), size=20)
    for row, sample in dataset.samples.iterrows():
        assert (sample["split"] == "test") == sample["sample_id"].startswith("4@")
        user, _, rest = sample["sample_id"].partition("/")
        with Image.open(tmp_path / "aligned" / user / f"landmark_aligned_face.{rest}") as image:
            np.testing.assert_array_equal(
                dataset.images[row], np.asarray(image.convert("RGB")).transpose(2, 0, 1)
            )


def test_the_other_kind_of_images_serves_where_it_is_alone(tmp_path):
    aligned = load_dataset("adience", root=write_adience(tmp_path), size=20)
    for path in sorted((tmp_path / "aligned").rglob("*.jpg")):
        target = (
            tmp_path
            / "faces"
            / path.parent.name
            / path.name.replace("landmark_aligned", "coarse_tilt_aligned")
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    with pytest.raises(
        DatasetError,
        match="None of the 80 images that the fold files name could be read in .*aligned",
    ):
        load_dataset("adience", root=tmp_path, size=20)
    (tmp_path / "aligned").rename(tmp_path / "old")
    assert load_dataset("adience", root=tmp_path, size=20).fingerprint == aligned.fingerprint


def test_absent_images_duplicates_and_bad_rows_are_counted_and_named(tmp_path):
    rows = [
        [(f"{fold}@N0", f"{i}.jpg", str(i), "(0, 2)", "f") for i in range(4)] for fold in range(5)
    ]
    rows[1].append(rows[1][0])
    rows[2].append(
        rows[1][1]
    )  # in another fold: the first fold keeps it, so none is in train and test
    rows[3] += [
        ("3@N0", "x.jpg", "9", "None", "f"),
        ("3@N0", "y.jpg", "9", "99", "f"),
        ("3@N0", "z.jpg", "9", "2", "u"),
    ]
    write_folds(tmp_path, rows)
    for fold in range(5):
        for i in range(3):  # the fourth of each fold is absent
            write_noise_image(
                tmp_path / "faces" / f"{fold}@N0" / f"coarse_tilt_aligned_face.{i}.{i}.jpg",
                seed=fold,
            )
    dataset = load_dataset("adience", root=tmp_path, size=20)
    assert len(dataset.samples) == 15
    skipped = [(skip.file, skip.reason) for skip in dataset.skipped]
    assert ("fold_1_data.txt", "line 6: another row has the image 1@N0/0.0.jpg") in skipped
    assert ("fold_2_data.txt", "line 6: another row has the image 1@N0/1.1.jpg") in skipped
    assert ("fold_3_data.txt", "2 rows have no age, or a gender that is not f or m") in skipped
    assert ("fold_3_data.txt", "line 7: the age '99' belongs to no class") in skipped
    absent = [file for file, reason in skipped if "No such file" in reason]
    assert absent == [f"faces/{fold}@N0/coarse_tilt_aligned_face.3.3.jpg" for fold in range(5)]


def test_fold_files_that_are_missing_or_no_text_are_named(tmp_path):
    write_adience(tmp_path)
    path = tmp_path / "fold_2_data.txt"
    for content, message in (
        (b"a\tb\n", "does not begin with the columns"),
        (b"user_id\xe9\n", "cannot be read"),
        (b"", "begin with"),
    ):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=rf"fold_2_data\.txt {message}|{message}"):
            load_dataset("adience", root=tmp_path)
    path.unlink()
    with pytest.raises(DatasetError, match=r"lacks the file fold_2_data\.txt; all five"):
        load_dataset("adience", root=tmp_path)
    write_adience(tmp_path)
    (tmp_path / "aligned").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"holds no images; unpack aligned\.tar\.gz"):
        load_dataset("adience", root=tmp_path)


def test_the_real_folds(shared_data, tmp_path):
    """Counts of the paper and its released code; images are drawn at a few real paths, since the
    real ones are not here.
    """
    faces, skipped = read_folds(shared_data / "adience")
    test = [face for face in faces.values() if face.split == "test"]
    assert (len(faces) - len(test), len(test)) == (14_007, 3_445)
    assert [Counter(face.label for face in test)[k] for k in range(8)] == [
        199,
        570,
        340,
        225,
        1072,
        513,
        252,
        274,
    ]
    assert Counter(face.gender for face in test) == {"female": 1848, "male": 1597}
    assert sum(int(skip.reason.split()[0]) for skip in skipped) == 19_370 - 14_007 - 3_445
    for fold in range(5):
        shutil.copy(shared_data / "adience" / f"fold_{fold}_data.txt", tmp_path)
    drawn = [*list(faces.values())[:12], *test[:6]]
    for seed, face in enumerate(drawn):
        write_noise_image(tmp_path / face.path("aligned"), seed=seed)
    dataset = load_dataset("adience", root=tmp_path, size=20)
    assert list(dataset.samples["sample_id"]) == [face.sample_id for face in drawn]
    assert (len(dataset.rows("train")), len(dataset.rows("test"))) == (12, 6)
    assert len(dataset.skipped) == 5 + 14_007 + 3_445 - 18
