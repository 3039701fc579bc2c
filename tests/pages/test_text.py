import pytest

from pages.shell.text import escape_markdown, format_bytes, format_duration, format_interval


@pytest.mark.parametrize(
    ("name", "markdown"),
    [
        ("<script>", r"\<script\>"),
        ("a|b", r"a\|b"),
        ("😀 :smile:", r"😀 \:smile\:"),
        ("*x* _y_ `z` $a$", r"\*x\* \_y\_ \`z\` \$a\$"),
        ("[a](b)", r"\[a\]\(b\)"),
        ("1. c:\\d", r"1\. c\:\\d"),
        ("25-40", r"25\-40"),
        ("White", "White"),
    ],
)
def test_names_are_escaped_for_markdown(name, markdown):
    assert escape_markdown(name) == markdown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (40, "40 s"),
        (89, "89 s"),
        (120, "2 min"),
        (3600, "60 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert format_duration(seconds) == words


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12 kB"), (3_400_000, "3.4 MB")],
)
def test_sizes_are_said_as_people_say_them(n_bytes, words):
    assert format_bytes(n_bytes) == words


def test_an_interval_without_ends_is_left_out():
    assert format_interval(-0.5, 0.25, "+.2f") == " [-0.50, +0.25]"
    assert format_interval(-0.5, float("inf"), "+.2f") == ""
    assert format_interval(float("nan"), float("nan"), "+.2f") == ""
