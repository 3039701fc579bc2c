import pytest

from pages.shell.text import plain


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
    assert plain(name) == markdown
