"""Names of groups, files and runs as plain text, whatever they contain."""

import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@])")
_SPACE = re.compile(r"\s+")


def plain(text: str) -> str:
    """Escape everything that Markdown would read as markup, so that the text is shown as it is."""
    text = text.encode(
        "utf-8", "replace"
    ).decode()  # names of files can hold bytes that are no text
    return _MARKDOWN.sub(
        r"\\\1", _SPACE.sub(" ", text)
    )  # a line break could begin a heading or a list
