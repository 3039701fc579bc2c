import io
from xml.etree import ElementTree

import altair as alt
import pandas as pd
from PIL import Image

from rbcore.charts import chart_png, chart_svg

POINTS = pd.DataFrame({"x": range(6000), "y": [k % 7 for k in range(6000)]})


def drawn() -> alt.Chart:
    return alt.Chart(POINTS).mark_point().encode(x="x:Q", y="y:Q").properties(width=200, height=100)


def test_a_chart_of_more_rows_than_a_notebook_may_show_becomes_svg_with_all_its_marks():
    root = ElementTree.fromstring(chart_svg(drawn()))  # noqa: S314 (our own text)
    marks = [
        path
        for path in root.iter("{http://www.w3.org/2000/svg}path")
        if path.get("aria-roledescription") == "point"
    ]
    assert len(marks) == len(POINTS)


def test_a_chart_becomes_a_picture_of_twice_its_points():
    with Image.open(io.BytesIO(chart_png(drawn()))) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 2 * 200 and picture.height >= 2 * 100
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10


def test_exporting_leaves_the_limit_of_notebooks_in_place():
    chart_svg(drawn())
    assert alt.data_transformers.options.get("max_rows", 5000) == 5000
