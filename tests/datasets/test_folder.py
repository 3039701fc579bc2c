import os
import shutil
import struct
import zlib
from collections import Counter
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from benchmarks.layouts import write_class_folders, write_noise_image
from rbcore.datasets import load_dataset
from rbcore.datasets.folder import find_images
from rbcore.errors import DatasetError
from rbcore.partitions import group_labels, partition_names


def load(root, **arguments):
    return load_dataset("folder", root=root, size=16, **arguments)


def reasons(dataset):
    return {skip.file: skip.reason for skip in dataset.skipped}


def metadata(root, *lines, encoding="utf-8"):
    (root / "metadata.csv").write_bytes("\n".join(lines).encode(encoding))
    return load(root)


def lines_said(dataset):
    return [skip.reason for skip in dataset.skipped if skip.file == "metadata.csv"]


def write_png_header(path, width, height):
    """Write a small file that claims to be large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_class_folders_are_split_by_class_and_seed(tmp_path):
    write_class_folders(tmp_path, ("cat", "dog", "emu"), n=10)
    dataset = load(tmp_path)
    assert dataset.classes == ("cat", "dog", "emu")
    counts = dataset.samples.groupby(["class", "split"]).size()
    assert (counts.xs("test", level="split") == 2).all() and (
        counts.xs("train", level="split") == 8
    ).all()
    chosen = [
        set(load(tmp_path, seed=seed).samples.query("split == 'test'")["sample_id"])
        for seed in range(3)
    ]
    assert (
        chosen[0] == set(dataset.samples.query("split == 'test'")["sample_id"])
        and chosen[0] != chosen[1] != chosen[2]
    )


def test_train_and_test_folders_decide_where_there_are_both(tmp_path):
    write_class_folders(tmp_path / "train", n=3)
    write_class_folders(tmp_path / "test", n=2)
    write_class_folders(tmp_path / "extra", n=1)
    dataset = load(tmp_path)
    assert (len(dataset.rows("train")), len(dataset.rows("test"))) == (6, 4)
    for sample in dataset.samples.itertuples():
        assert sample.sample_id.startswith(f"{sample.split}/{sample[4]}/")
    assert load(tmp_path, seed=9).fingerprint == dataset.fingerprint
    assert reasons(dataset) == {"extra": "beside train/ and test/ no other folder is used"}


def test_pixels_are_those_of_the_named_file(tmp_path):
    """Files of one name in two classes are two images, and a broken one does not
    shift the others.
    """
    write_class_folders(tmp_path)
    (tmp_path / "cat" / "4.jpg").write_bytes(b"no image")
    dataset = load(tmp_path)
    assert len(dataset.samples) == 19
    assert {"cat/3.png", "dog/3.png"} <= set(dataset.samples["sample_id"])
    for row, sample in dataset.samples.iterrows():
        with Image.open(tmp_path / sample["sample_id"]) as image:
            expected = np.asarray(
                image.convert("RGB").resize((16, 16), Image.Resampling.BILINEAR)
            ).transpose(2, 0, 1)
        np.testing.assert_array_equal(dataset.images[row], expected)
        assert sample["class"] == sample["sample_id"].split("/")[0]


def test_what_is_no_usable_image_is_named(tmp_path):
    write_class_folders(tmp_path)
    cat = tmp_path / "cat"
    (cat / "text.jpg").write_text("this is text")
    (cat / "notes.txt").write_text("x")
    (cat / "empty.png").write_bytes(b"")
    (cat / "half.jpg").write_bytes((cat / "0.jpg").read_bytes()[:400])
    (cat / ".hidden.jpg").write_bytes(b"")
    Image.new("RGB", (9, 9)).save(cat / "really a gif.png", format="GIF")
    write_png_header(cat / "bomb.png", 30_000, 30_000)
    write_png_header(cat / "large.png", 12_000, 10_000)
    write_png_header(cat / "just above.png", 8_001, 8_000)
    write_png_header(cat / "false header.png", 300, 300)
    write_noise_image(cat / "inner" / "deep.jpg")
    write_noise_image(tmp_path / "loose.png")
    (tmp_path / "README.md").write_text("x")
    dataset = load(tmp_path)
    assert len(dataset.samples) == 20
    assert reasons(dataset) == {
        "cat/text.jpg": "no readable JPEG or PNG (UnidentifiedImageError)",
        "cat/empty.png": "no readable JPEG or PNG (UnidentifiedImageError)",
        "cat/half.jpg": "no readable JPEG or PNG (OSError)",
        "cat/really a gif.png": "no readable JPEG or PNG (UnidentifiedImageError)",
        "cat/bomb.png": "no readable JPEG or PNG (DecompressionBombError)",
        "cat/large.png": "no readable JPEG or PNG (DecompressionBombWarning)",
        "cat/just above.png": "8001 x 8000 pixels are more than 64 megapixels",
        "cat/false header.png": "no readable JPEG or PNG (OSError)",
        "cat/notes.txt": "its name does not end in .jpg, .jpeg, .png",
        "cat/inner": "it is a folder within a class folder",
        "loose.png": "it lies outside of the class folders",
    }


def test_links_are_followed_only_inside(tmp_path):
    root = write_class_folders(tmp_path / "root")
    outside = write_noise_image(tmp_path / "outside" / "secret.jpg")
    (root / "cat" / "secret.jpg").symlink_to(outside)
    (root / "cat" / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (root / "cat" / "circle.jpg").symlink_to(root / "cat" / "circle.jpg")
    (root / "cat" / "inside.jpg").symlink_to(root / "dog" / "0.jpg")
    (root / "secrets").symlink_to(outside.parent)
    dataset = load(root)
    assert len(dataset.samples) == 21 and "cat/inside.jpg" in set(dataset.samples["sample_id"])
    outside = "it is a link that leads outside the folder"
    assert reasons(dataset) == dict.fromkeys(
        ["cat/secret.jpg", "cat/dangling.jpg", "cat/circle.jpg", "secrets"], outside
    )


@pytest.mark.parametrize(
    "name",
    [
        "a" * 200,
        "قطة صغيرة",
        "می\u200cخواهم",
        "חתול",
        "<script>alert(1)</script>",
        "=1+1",
        "c,a\"t'",
        "-0 % $x",
        "家族👨‍👩‍👧",
    ],
)
def test_class_names_of_every_kind_survive(tmp_path, name):
    write_class_folders(tmp_path, ("zebra", name.replace("/", "")))
    dataset = load(tmp_path)
    assert set(dataset.classes) == {"zebra", name.replace("/", "")} and not dataset.skipped
    assert set(group_labels(dataset.samples, "class")) == set(dataset.classes)


@pytest.mark.parametrize("name", ["a" * 201, "two\nlines", os.fsdecode(b"caf\xe9")])
def test_class_names_that_cannot_be_written_down_are_said(tmp_path, name):
    try:
        write_class_folders(tmp_path, ("cat", "dog", name))
    except OSError:
        pytest.skip("this file system has no such names")
    dataset = load(tmp_path)
    assert dataset.classes == ("cat", "dog")
    (skip,) = dataset.skipped
    assert (
        skip.reason == "its name is too long or holds control characters; rename it"
        and skip.file.isascii()
    )


def test_few_images_are_enough(tmp_path):
    write_class_folders(tmp_path, ("cat", "dog"), n=2)
    write_class_folders(tmp_path, ("emu",), n=1)
    write_class_folders(tmp_path, ("fox",), n=0)
    (tmp_path / "gnu").mkdir()
    (tmp_path / "gnu" / "0.jpg").write_bytes(b"")
    dataset = load(tmp_path)
    counts = dataset.samples.groupby(["class", "split"]).size().to_dict()
    assert counts == {
        (name, split): 1 for name in ("cat", "dog") for split in ("test", "train")
    } | {("emu", "train"): 1}
    assert "class is left out" in reasons(dataset)["gnu"]


def test_folders_of_no_use_say_what_is_wanted(tmp_path):
    write_class_folders(tmp_path / "one", ("cat",))
    with pytest.raises(
        DatasetError,
        match=r"one holds usable images of 1 classes, .* train/<class>/ and test/<class>/",
    ):
        load(tmp_path / "one")
    write_class_folders(tmp_path / "half" / "train")
    with pytest.raises(
        DatasetError, match="of 0 classes.*train/cat: it is a folder within a class folder"
    ):
        load(tmp_path / "half")
    write_class_folders(tmp_path / "split" / "train")
    (tmp_path / "split" / "test").mkdir()
    with pytest.raises(DatasetError, match="train and test need at least one each"):
        load(tmp_path / "split")


def test_columns_become_partitions_or_numbers(tmp_path):
    write_class_folders(tmp_path)
    files = [f"{name}/{i}.{('jpg', 'png')[i % 2]}" for name in ("cat", "dog") for i in range(10)]
    rows = [
        f"{file},{('in', 'out')[k % 2]},{k},{k / 4},{k:03d}x"
        for k, file in reversed(list(enumerate(files)))
    ]
    dataset = metadata(tmp_path, "file, place ,count,weight,code", *rows)
    assert not dataset.skipped
    assert (
        dataset.partitions
        == ("class", "place", "code")
        == tuple(partition_names(dataset.samples.drop(columns="split")))
    )
    samples = dataset.samples.set_index("sample_id")
    assert samples["count"].dtype == np.int64 and samples["weight"].dtype == np.float64
    for k, file in enumerate(files):
        assert samples.loc[file, ["place", "count", "weight", "code"]].tolist() == [
            ("in", "out")[k % 2],
            k,
            k / 4,
            f"{k:03d}x",
        ]
    before = dataset.fingerprint
    assert metadata(tmp_path, "file,place", *(f"{file},in" for file in files)).fingerprint == before


def test_wrong_lines_are_named_by_number_and_lose_no_image(tmp_path):
    root = write_class_folders(tmp_path / "root")
    secret = write_noise_image(tmp_path / "secret.jpg")
    (root / "cat" / "link.jpg").symlink_to(secret)
    (root / "linked").symlink_to(tmp_path)
    (root / "cat" / "9.png").write_bytes(b"broken")
    dataset = metadata(
        root,
        "file,place,age",  # line 1
        "cat/0.jpg,in,1",
        "cat/77.jpg,in,2",
        "cat/0.jpg,out,3",
        "../secret.jpg,in,4",
        f"{secret},in,5",
        "C:\\photos\\1.jpg,in,6",
        "cat/link.jpg,in,7",
        "linked/secret.jpg,in,7",
        ",in,8",
        "cat/1.png,,9",
        "cat/2.jpg,in,",
        "cat/3.png,in",
        "cat/4.jpg,in,10,more",
        'cat/5.png,"two\nlines",11',
        "",
        'cat/6.jpg,"a "quoted" word",12',
        "cat/9.png,in,13",
        f"cat/7.png,{'x' * 5000},14",
        "dog\\0.jpg,out,15",
    )
    assert len(dataset.samples) == 19
    assert lines_said(dataset) == [
        "line 3: there is no image 'cat/77.jpg'",
        "line 4: another line describes 'cat/0.jpg'; the first one counts",
        "line 5: '../secret.jpg' leads outside the folder",
        f"line 6: '{secret}' is an absolute path; write it relative to the folder",
        "line 7: 'C:/photos/1.jpg' is an absolute path; write it relative to the folder",
        "line 8: 'cat/link.jpg' is not used: it is a link that leads outside the folder",
        "line 9: 'linked/secret.jpg' is not used: it is a link that leads outside the folder",
        "line 10: no value of 'file'",
        "line 13: 2 values for 3 columns",
        "line 14: 4 values for 3 columns",
        "line 16: the value of 'place' is longer than 200 or holds control characters",
        "line 18: no valid CSV (',' expected after '\"')",
        "line 19: 'cat/9.png' is not used: no readable JPEG or PNG (UnidentifiedImageError)",
        "line 20: the value of 'place' is longer than 200 or holds control characters",
        "13 images have no line; the first is cat/3.png",
    ]
    samples = dataset.samples.set_index("sample_id")
    assert samples.loc["cat/0.jpg", "place"] == "in" and samples.loc["dog/0.jpg", "place"] == "out"
    assert samples["place"].value_counts().to_dict() == {"unknown": 16, "in": 2, "out": 1}
    assert samples["age"].count() == 5 and samples.loc["cat/1.png", "age"] == 9


def test_columns_that_cannot_be_used_are_named(tmp_path):
    write_class_folders(tmp_path, n=150)
    files = [f"{name}/{i}.{('jpg', 'png')[i % 2]}" for name in ("cat", "dog") for i in range(150)]
    rows = [f"{file},1,2,in,photo {k},,x,y,z,out,q" for k, file in enumerate(files)]
    dataset = metadata(
        tmp_path, f"file,label,class,place,photo,,empty*,a:b,{'n' * 300},place,none", *rows
    )
    assert dataset.partitions == ("class", "place", "none")
    assert set(dataset.samples["place"]) == {"in"}
    said = lines_said(dataset)
    for start in (
        "'label' has a name that is taken",
        "'class' has",
        "'' has no name",
        "'empty*' has",
        "'a:b' has",
        "'nnn",
        "'place' is there twice",
    ):
        assert any(line.startswith("the column " + start) for line in said), (start, said)
    assert dataset.notes == (
        "place: 1 group",
        (
            "photo: left out, since it holds 300 different values and more than 200 groups "
            "cannot be compared"
        ),
        "none: 1 group",
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2"], [1, 2]),
        (["-1.5", "+2e3"], [-1.5, 2000.0]),
        (["1_000", "2"], ["1_000", "2"]),
        (["inf", "1"], ["inf", "1"]),
        (["1e999", "1"], ["1e999", "1"]),
        (["٣", "4"], ["٣", "4"]),
        (["true", "false"], ["true", "false"]),
        (["9007199254740993", "1"], [9007199254740992.0, 1.0]),
    ],
)
def test_only_plain_finite_numbers_are_numbers(tmp_path, values, expected):
    write_class_folders(tmp_path, n=1)
    write_noise_image(tmp_path / "cat" / "1.jpg")
    rows = [
        f"{file},{value}" for file, value in zip(["cat/0.jpg", "dog/0.jpg"], values, strict=True)
    ]
    samples = metadata(tmp_path, "file,value", *rows, f"cat/1.jpg,{values[0]}").samples.set_index(
        "sample_id"
    )
    assert samples.loc[["cat/0.jpg", "dog/0.jpg"], "value"].tolist() == expected


def test_files_that_are_no_metadata_are_refused_with_the_remedy(tmp_path):
    root = write_class_folders(tmp_path / "root")
    with pytest.raises(
        DatasetError,
        match=r"metadata\.csv is not UTF-8 text \(byte 0xe9 in line 2\); save it as CSV UTF-8",
    ):
        metadata(root, "file,place", "cat/0.jpg,café", encoding="latin1")
    with pytest.raises(
        DatasetError,
        match=r"has no column 'file' but 'image, place'; .* commas, semicolons or tabs",
    ):
        metadata(root, "image,place", "cat/0.jpg,in")
    with pytest.raises(DatasetError, match="has no column 'file' but ''"):
        metadata(root)
    with pytest.raises(
        DatasetError,
        match=r"No line of .*metadata\.csv can be used; the first, line 2: there is no image 'x'",
    ):
        metadata(root, "file,place", "x,in", "y,in")
    (root / "metadata.csv").unlink()
    (root / "metadata.csv").symlink_to("/etc/passwd")
    with pytest.raises(
        DatasetError, match=r"leads outside the folder\); put the file itself there"
    ):
        load(root)
    (root / "metadata.csv").unlink()
    (root / "metadata.csv").mkdir()
    with pytest.raises(DatasetError, match="cannot be read"):
        load(root)


def test_a_byte_order_mark_and_decomposed_accents_are_understood(tmp_path):
    write_class_folders(tmp_path, ("café", "dog"), n=1)
    write_noise_image(tmp_path / "dog" / "1.jpg")
    rows = ["cafe\u0301/0.jpg,in", "./dog/0.jpg,out"]
    dataset = metadata(tmp_path, "file,place", *rows, encoding="utf-8-sig")
    assert dict(zip(dataset.samples["sample_id"], dataset.samples["place"], strict=True)) == {
        "café/0.jpg": "in",
        "dog/0.jpg": "out",
        "dog/1.jpg": "unknown",
    }


def test_huge_fields_and_endless_quotes_are_survived(tmp_path):
    write_class_folders(tmp_path)
    dataset = metadata(
        tmp_path, "file,place", "cat/0.jpg,in", f"cat/1.png,{'x' * 300_000}", "dog/0.jpg,out"
    )
    assert any(
        line.startswith("line 3: no valid CSV (field larger than field limit")
        for line in lines_said(dataset)
    )
    assert set(dataset.samples["place"]) == {"in", "out", "unknown"}
    dataset = metadata(
        tmp_path,
        "file,place",
        "cat/0.jpg,in",
        'cat/1.png,"never closed',
        *["dog/0.jpg,out"] * 20_000,
    )
    assert len(dataset.samples) == 20 and len(dataset.skipped) <= 1003
    assert any("no valid CSV" in line for line in lines_said(dataset))


@pytest.mark.slow
def test_the_real_folder(shared_data, tmp_path):
    """20,000 + 4,000 JPEG files of CIFAR-10 are found, and every tenth of each class decoded,
    small: only counts are looked at.
    """
    root = shared_data / "cifar10-jpeg"
    found, skipped = find_images(root)
    assert not skipped
    counts = Counter((facts.split, facts.name) for facts in found.values())
    assert len(counts) == 20 and all(
        n == {"train": 2000, "test": 400}[split] for (split, _), n in counts.items()
    )
    by_class = groupby(sorted(found), lambda file: file.rpartition("/")[0])
    tenth = [file for _, files in by_class for file in list(files)[::10]]
    for file in tenth:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, tmp_path / file)
    dataset = load_dataset("folder", root=tmp_path, size=8)
    assert (len(dataset.rows("train")), len(dataset.rows("test"))) == (2000, 400)
    assert not dataset.skipped and len(dataset.classes) == 10
    assert (
        (dataset.samples.groupby(["split", "class"]).size().unstack("split") == [40, 200])
        .all()
        .all()
    )
