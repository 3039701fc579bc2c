"""Charts as files: SVG and PNG made without a browser, for downloads and reports."""

import threading

import altair as alt

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart | alt.HConcatChart | alt.VConcatChart

PIXELS_A_POINT = 2
_LOCK = threading.Lock()


def chart_svg(chart: AnyChart) -> str:
    """Return a chart as SVG text, on white, in Vega-Lite's own theme."""
    import vl_convert  # 33 MB, for who downloads a chart: not for everyone who imports the library

    svg: str = vl_convert.vegalite_to_svg(_specification(chart))
    return svg


def chart_png(chart: AnyChart) -> bytes:
    """Return a chart as PNG, `PIXELS_A_POINT` pixels a point, on white, in Vega-Lite's own theme."""
    import vl_convert

    png: bytes = vl_convert.vegalite_to_png(_specification(chart), scale=PIXELS_A_POINT)
    return png


def _specification(chart: AnyChart) -> dict[str, object]:
    with (
        _LOCK,
        alt.data_transformers.enable("default", max_rows=None),
    ):  # the limit is meant for notebooks; it is global
        specification: dict[str, object] = chart.to_dict()
    return {"background": "white", **specification}
