import shlex

import pytest

import rbcore as rb
from rbcore.errors import UnknownNameError
from rbcore.runs.command_lines import command, estimate_command
from rbcore.sampling import Rows
from tests.cli.test_main import run


@pytest.mark.parametrize("folder", ["/data/my faces", "it's; rm -rf $HOME", 'a"b', "--by", "ünï"])
def test_a_shell_reads_back_what_was_meant(folder):
    text = command(
        "train",
        "folder",
        "small_cnn",
        root=folder,
        size=16,
        alpha=0.1,
        validation=None,
        no_checksum=True,
    )
    words = ["--root", folder, "--size", "16", "--alpha", "0.1", "--no-checksum"]
    assert shlex.split(text) == ["python", "-m", "rbcore", "train", "folder", "small_cnn", *words]


def test_a_method_is_taken_apart_into_its_settings():
    text = estimate_command(
        "digits", "small_cnn", "deepfool:paper overshoot=0.1", {"steps": 7}, epoch="all", run="mine"
    )
    assert text.endswith(
        "digits small_cnn deepfool:paper --set overshoot=0.1 --set steps=7 --epoch all --run mine"
    )
    assert "--split validation --limit 30 --at-least 5 --by 'gender*race'" in estimate_command(
        *("a", "b", "c"),
        epoch=1,
        run="d",
        rows=Rows("validation", limit=30, at_least=5, by="gender*race"),
    )


def printed(*arguments) -> list[str]:
    """The command that the command line tells to run, as a shell reads it."""
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    return shlex.split(done.stderr.strip().splitlines()[-1].split(": ", 2)[2])[3:]


def test_the_command_for_missing_distances_repeats_what_the_user_gave():
    """It dropped the settings, and so computed distances that the same question did
    not find either.
    """
    asked = ("digits", "logistic_regression", "deepfool")
    given = ("--set", "steps=3", "--set", "overshoot=0.5", "--epoch", "first")
    told = printed("bias", *asked, "--by", "class", *given)
    assert run(*told).returncode == 0
    assert run("bias", *asked, "--by", "class", *given).returncode == 0
    train = ["--split", "train", "--epoch", "all"]
    assert {"--split", "train", "all"} <= set(printed("bias", *asked, "--by", "class", *train))


def test_the_command_that_trains_a_missing_run_repeats_the_data(tmp_path):
    told = printed(
        "estimate",
        "utkface",
        "small_cnn",
        "deepfool",
        "--root",
        tmp_path / "my faces",
        "--no-checksum",
    )
    assert told == [
        "train",
        "utkface",
        "small_cnn",
        "--root",
        str(tmp_path / "my faces"),
        "--no-checksum",
    ]
    data = rb.load_dataset("digits", seed=4)
    with pytest.raises(UnknownNameError, match="train digits resnet20 --size 8 --seed 4$"):
        rb.load_model("resnet20", data)


def test_the_command_for_the_best_attack_names_one_that_can_be_computed(cache):
    told = printed(
        "bias", "digits", "logistic_regression", "best", "--by", "class", "--split", "train"
    )
    assert told[:4] == ["estimate", "digits", "logistic_regression", "minimal"]
