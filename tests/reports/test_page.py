from html.parser import HTMLParser

import altair as alt
import numpy as np
import pandas as pd
import pytest

from rbcore.errors import StoreError
from rbcore.reports.page import Figure, Section, number, printed_columns, write_report


class Page(HTMLParser):
    """Collects what a page links to and loads, and checks that its tags close."""

    VOID = {"meta", "img", "br"}  # noqa: RUF012

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.sources, self.cells, self.ids = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.links += [attributes["href"]] if "href" in attributes else []
        self.sources += [attributes["src"]] if "src" in attributes else []
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def table():
    return pd.DataFrame(
        {
            "quantity": ["a <b> & c", "d"],
            "paper": [0.4, np.nan],
            "ours": [0.41239, np.nan],
            "n": pd.array([1200, None], dtype="Int64"),
            "low": [0.39, np.nan],
            "high": [0.43, np.nan],
            "weights": ["a" * 64, ""],
        }
    )


def test_a_report_opens_offline_and_its_tables_parse(tmp_path):
    chart = alt.Chart(table()).mark_point().encode(x="paper:Q", y="ours:Q")
    sections = [
        Section("one", "First & best", ("A <b> text.",), table(), (Figure(chart, "a figure"),)),
        Section("two", "Last"),
    ]
    path = write_report(tmp_path / "out", "Title <i>", ["lead"], sections)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.ids == ["one", "two"] and page.links == ["#one", "#two", "one.csv"]
    (source,) = page.sources
    assert source.startswith("data:image/svg+xml;base64,")
    assert "<script" not in text and "http" not in text.replace("data:image", "")
    assert "a &lt;b&gt; &amp; c" in text
    assert (
        page.cells
        == ["a <b> & c", "0.400", "0.412", "1,200", "[0.390, 0.430]", "aaaaaaaaaaaa…", "d"]
        + ["–"] * 4
    )
    read = pd.read_csv(
        path.parent / "one.csv",
        keep_default_na=False,
        na_values={name: [""] for name in ("paper", "ours", "n")},
    )
    assert list(read.columns) == list(table().columns) and list(read["weights"]) == list(
        table()["weights"]
    )
    np.testing.assert_allclose(read["ours"], table()["ours"], rtol=1e-5)
    assert read["n"].iloc[0] == 1200 and np.isnan(read["n"].iloc[1])
    assert not (path.parent / "two.csv").exists()


def test_names_of_sections_are_files_so_they_differ(tmp_path):
    with pytest.raises(StoreError, match="share a name"):
        write_report(tmp_path, "t", [], [Section("a", "A"), Section("a", "B")])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (12345, "12,345"),
        (100.0, "100"),
        (82.78, "82.8"),
        (1.234, "1.23"),
        (-0.0714, "-0.071"),
        (np.nan, "–"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_a_table_without_n_keeps_its_interval():
    (column,) = printed_columns(pd.DataFrame({"low": [1.0], "high": [2.0]}))
    assert (column.side, column.cells) == ("number", ["[1, 2]"])
