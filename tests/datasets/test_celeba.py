import numpy as np
import pytest
from PIL import Image

from benchmarks.layouts import write_celeba
from rbcore.datasets import celeba, load_dataset
from rbcore.errors import DatasetError


def load(root, **arguments):
    return load_dataset("celeba", root=root, checksum=False, **arguments)


def edit_lines(path, change):
    lines = path.read_text().splitlines()
    change(lines)
    path.write_text("\n".join(lines) + "\n")


def test_label_and_attributes_are_those_of_the_list(tmp_path):
    """Attribute k of image i is ``(i >> k % 4) & 1`` in the made-up list; Smiling is the
    32nd, so k = 31.
    """
    samples = load(write_celeba(tmp_path)).samples.set_index("sample_id")
    assert len(celeba.ATTRIBUTES) == 40 and celeba.ATTRIBUTES.index("Smiling") == 31
    for name, row in samples.iterrows():
        i = int(name.removesuffix(".jpg")) - 1
        assert row["label"] == i >> 3 & 1 and row["class"] == ("not smiling", "smiling")[i >> 3 & 1]
        assert (
            row["Young"] == ("no", "yes")[i >> 39 % 4 & 1] and row["Bald"] == ("no", "yes")[i & 1]
        )
        assert row["split"] == {0: "train", 2: "test"}[(0, 0, 0, 0, 0, 0, 1, 1, 2, 2)[i // 4 % 10]]


def test_the_validation_split_is_left_out_and_said(tmp_path):
    dataset = load(write_celeba(tmp_path))
    assert [(skip.file, skip.reason) for skip in dataset.skipped] == [
        ("list_eval_partition.txt", "8 validation images are not used")
    ]


def test_the_central_square_is_used(tmp_path):
    root = write_celeba(tmp_path)
    path = root / "celeba" / "img_align_celeba" / "000001.jpg"
    dataset = load(root, size=18)
    with Image.open(path) as image:
        assert image.size == (18, 22)
        expected = np.asarray(image.convert("RGB"))[2:20].transpose(2, 0, 1)
    np.testing.assert_array_equal(dataset.images[dataset.rows_of(["000001.jpg"])[0]], expected)


def test_absent_and_broken_images_are_named(tmp_path):
    root = write_celeba(tmp_path)
    images = root / "celeba" / "img_align_celeba"
    (images / "000002.jpg").unlink()
    (images / "000005.jpg").write_bytes(b"no image")
    dataset = load(root)
    skipped = {skip.file: skip.reason for skip in dataset.skipped}
    assert "No such file" in skipped["000002.jpg"] and "no readable JPEG" in skipped["000005.jpg"]
    assert len(dataset.samples) == 40


def test_lines_that_make_no_sense_are_named(tmp_path):
    folder = write_celeba(tmp_path) / "celeba"

    def spoil_attributes(lines):
        lines[2] = lines[2].replace("-1", "0")  # of 000001.jpg
        lines[3] = lines[3][:-3]  # of 000002.jpg
        lines.append("../../000003.jpg" + lines[4][10:])
        lines.append(lines[5])  # 000004.jpg again

    edit_lines(folder / "list_attr_celeba.txt", spoil_attributes)
    edit_lines(
        folder / "list_eval_partition.txt",
        lambda lines: lines.extend(["000001.jpg 2", "000060.jpg 3"]),
    )
    dataset = load(tmp_path)
    reasons = [f"{skip.file} {skip.reason}" for skip in dataset.skipped]
    for expected in ("list_eval_partition.txt line 51 ", "list_eval_partition.txt line 52 "):
        assert any(reason.startswith(expected) for reason in reasons), reasons
    for line in (3, 4, 53, 54):
        assert any(reason.startswith(f"list_attr_celeba.txt line {line} ") for reason in reasons), (
            reasons
        )
    assert "000001.jpg it has no attributes" in reasons
    assert len(dataset.samples) == 40


def test_lists_of_something_else_are_refused(tmp_path):
    folder = write_celeba(tmp_path) / "celeba"
    attributes = folder / "list_attr_celeba.txt"
    whole = attributes.read_bytes()
    for content in (b"", b"3\n", whole.replace(b"Young", b"Old"), b"\xff\xfe\x00"):
        attributes.write_bytes(content)
        with pytest.raises(
            DatasetError, match=r"list_attr_celeba\.txt (does not name the 40|cannot be read)"
        ):
            load(tmp_path)
    attributes.write_bytes(whole)
    (folder / "list_eval_partition.txt").unlink()
    with pytest.raises(DatasetError, match=r"list_eval_partition\.txt cannot be read"):
        load(tmp_path)


def test_lists_without_images_say_so(tmp_path):
    folder = write_celeba(tmp_path) / "celeba"
    (folder / "img_align_celeba").rename(folder / "elsewhere")
    with pytest.raises(
        DatasetError, match=r"None of the 42 images .* unpack img_align_celeba\.zip there"
    ):
        load(tmp_path)
