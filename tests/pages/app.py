"""What the tests of the pages share: open a page without a browser, read its charts,
wait for its jobs.
"""

import io
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
from streamlit.testing.v1 import AppTest

import rbcore as rb
from rbcore import store
from rbcore.runs.checkpoints import find_run

APP = Path(__file__).resolve().parent.parent.parent / "app.py"
JOB_SECONDS = 60
(SHIPPED_RUN,) = [
    folder.name
    for folder in (APP.parent / "cache/bundled/runs/digits/logistic_regression").iterdir()
]


def open_page(page: str = "curves", /, **query: str) -> AppTest:
    """Run the app as a browser would after a click on a link with this query; the digits, where it
    names no dataset.
    """
    query = {"dataset": "digits", **query}
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update(query)
    return app.switch_page(f"pages/{page}.py").run()


def button(app: AppTest, label: str):
    """Return the one button with this label."""
    (found,) = [widget for widget in app.button if widget.label == label]
    return found


def wait_for_jobs(app: AppTest) -> AppTest:
    """Run the page again until no job offers to be cancelled any more, and once after it.

    A job may end after the sidebar was drawn and before the page was.
    """
    end = time.monotonic() + JOB_SECONDS
    while any(widget.label == "Cancel" for widget in app.button):
        assert time.monotonic() < end, f"still running: {app.main}"
        time.sleep(0.1)
        app.run()
    return app.run()


def plotted(app: AppTest, chart: int) -> pd.DataFrame:
    """Return the largest table that a chart of the page draws."""
    datasets = app.get("vega_lite_chart")[chart].proto.datasets
    tables = [
        pa.ipc.open_stream(io.BytesIO(dataset.data.data)).read_pandas() for dataset in datasets
    ]
    return max(tables, key=len)


def shipped(
    model: str = "small_cnn", epoch: str | int = "last", method: str = "deepfool"
) -> store.StoredTable:
    """Return a table of distances that ships with the project."""
    return rb.stored_distances(find_run("digits", model), epoch, method)


def said(messages) -> list[str]:
    """Return what the page says, without the backslashes that keep it from being
    read as Markdown.
    """
    return [message.value.replace("\\", "") for message in messages]
