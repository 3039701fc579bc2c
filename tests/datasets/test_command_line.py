"""The whole way through the command line of the datasets that need a word more than digits."""

from benchmarks.layouts import LAYOUTS, write_cifar10, write_class_folders
from tests.cli.test_main import run, table_of


def test_the_listing_says_what_is_published_and_what_is_on_disk(tmp_path, monkeypatch):
    for name, layout in LAYOUTS.items():
        root = layout.write(tmp_path / name)
        monkeypatch.setenv(f"RBCORE_{name.upper()}_ROOT", str(root))
    table = table_of("datasets").set_index("name")
    assert table.loc["cifar10", ["classes", "train", "test", "on disk"]].tolist() == [
        "10",
        "50,000",
        "10,000",
        "7 of 7 published files",
    ]
    assert table.loc["adience", "on disk"] == "5 of 5 fold files; images: 80 in aligned/"
    assert table.loc["celeba", "on disk"] == "2 of 2 published files, 50 images"
    assert table.loc["utkface", "on disk"] == "60 .jpg files"
    assert table.loc["folder", ["classes", "partitions", "on disk"]].tolist() == [
        "the folders",
        "class + metadata.csv",
        "2 classes, 20 images",
    ]
    assert table.loc["digits", "on disk"] == "no files needed"
    assert table[["license", "source"]].notna().all().all()


def test_a_waived_checksum_holds_for_the_calls_that_follow(tmp_path):
    root = write_cifar10(tmp_path / "cifar")
    train = ("train", "cifar10", "small_cnn", "--epochs", 1)
    refused = run(*train, "--root", root)
    assert refused.returncode == 2 and "--no-checksum" in refused.stderr
    done = run(*train, "--root", root, "--no-checksum")
    assert done.returncode == 0, done.stderr
    estimate = ("estimate", "cifar10", "small_cnn", "deepfool", "--limit", 2, "--set", "steps=5")
    assert table_of(*estimate)["n"].item() == 2
    moved = root.rename(tmp_path / "moved")
    assert run(*estimate, "--root", moved).returncode == 2
    assert table_of(*estimate, "--root", moved, "--no-checksum")["n"].item() == 2
    assert table_of(*estimate)["n"].item() == 2


def test_an_own_folder_with_metadata_is_trained_and_compared_by_it(tmp_path):
    root = write_class_folders(tmp_path / "mine", n=20)
    files = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.*g"))]
    lines = [
        "file,camera",
        *(f"{file},{('old', 'new')[k % 2]}" for k, file in enumerate(files)),
        "x,old",
    ]
    (root / "metadata.csv").write_text("\n".join(lines))
    done = run("train", "folder", "small_cnn", "--epochs", 1, "--size", 16, "--root", root)
    assert done.returncode == 0, done.stderr
    assert "skipped metadata.csv: line 42: there is no image 'x'" in done.stderr
    assert run("estimate", "folder", "small_cnn", "deepfool", "--set", "steps=20").returncode == 0
    groups = table_of(
        "bias", "folder", "small_cnn", "deepfool", "--by", "camera", "--set", "steps=20"
    )
    assert set(groups["group"]) == {"old", "new"} and groups["n"].sum() == 8
    wrong = run("bias", "folder", "small_cnn", "deepfool", "--by", "camra", "--set", "steps=20")
    assert wrong.returncode == 2 and "Did you mean 'camera'" in wrong.stderr


def test_downloads_without_a_way_out_are_one_sentence():
    done = run("train", "celeba", "small_cnn", "--download")
    assert done.returncode == 2 and "error: CelebA cannot be fetched by a program" in done.stderr
