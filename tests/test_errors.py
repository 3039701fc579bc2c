import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from rbcore.errors import StoreError
from rbcore.registry import unknown_name


def test_ordinary_text_stays_as_it_is():
    text = "The cache file /a/é × b.parquet is damaged (1e-5). Delete it."
    assert str(StoreError(text)) == text


@given(st.text(st.characters(codec=None), max_size=80))
def test_what_is_quoted_from_a_file_is_one_line_without_control_characters(text):
    said = str(StoreError(f"It holds {text}!"))
    assert not {unicodedata.category(letter) for letter in said} & {"Cc", "Cs", "Zl", "Zp"}
    assert said.startswith("It holds") and said.endswith("!")


def test_an_escape_code_and_a_stray_byte_are_spelled_out():
    assert str(StoreError("a \x1b[31m b \udcff")) == r"a \x1b[31m b \udcff"


def test_a_name_of_thousands_of_letters_is_cut_in_its_middle():
    said = str(unknown_name("partition", "a" * 5000 + "z" * 50, ["class"]))
    assert len(said) < 500 and "aaa..." in said and "zzz" in said and "class" in said
