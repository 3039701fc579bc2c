"""Charts as files: SVG and PNG made without a browser, for downloads and reports."""

import threading

import altair as alt

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart | alt.HConcatChart | alt.VConcatChart

PIXELS_A_POINT = 2
_LOCK = threading.Lock()


def chart_svg(chart: AnyChart) -> str:
    """Return a chart as SVG text, on white, in Vega-Lite's own theme."""
    import vl_convert  # 33 MB, only for who downloads a chart

    svg: str = vl_convert.vegalite_to_svg(_specification(chart))
    return svg


def chart_png(chart: AnyChart) -> bytes:
    """Return a chart as PNG, `PIXELS_A_POINT` pixels a point, as `chart_svg` draws it."""
    import vl_convert

    png: bytes = vl_convert.vegalite_to_png(_specification(chart), scale=PIXELS_A_POINT)
    return png


def _specification(chart: AnyChart) -> dict[str, object]:
    # The limit of rows is meant for notebooks; it is global.
    with _LOCK, alt.data_transformers.enable("default", max_rows=None):
        specification: dict[str, object] = chart.to_dict()
    return {"background": "white", **specification}
