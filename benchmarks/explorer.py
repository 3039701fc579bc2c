"""How fast the explorer answers, and what many visitors at once cost: milliseconds and memory.

``OMP_NUM_THREADS=1 python -m benchmarks.explorer`` has two tables: medians of several calls without
a browser, for every page in ``pages/`` and for the heatmap of 151 groups x 9 models x 3 epochs x 3
methods (synthetic tables in a temporary cache); and the resident memory of one server before and
after many sessions asked it for pages at once.

What is measured but not waited for: the first measure of a table of distances. It runs a second at
a time, with a bar on the page, once for all visitors; its time is in the table, and the heatmap's
times are with all tables measured.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
import typer
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

import rbcore as rb
from benchmarks.results import Results, Row, memory, page, save, timed
from benchmarks.serving import ROOT, serve
from pages.shell.cache import cache_key, etags, keep, measure_some, measured
from pages.shell.selection import Selection
from rbcore import store
from rbcore.distances import resolve_method
from rbcore.models import MODELS
from rbcore.runs.checkpoints import find_run
from rbcore.sampling import SPLIT
from rbcore.store import Provenance, TableKey

N_GROUPS, N_PER_GROUP, N_CALLS, N_SESSIONS = 151, 20, 5, 30
EPOCHS = (1, 6, 12)
METHODS = ("deepfool", "minimal", "carlini_wagner")
FINGERPRINT = "0" * 64
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))


def main() -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        os.environ["RBCORE_CACHE"] = str(cache)
        rows = speed(cache)
        sessions = [asyncio.run(many_sessions(cache))]
    print(report(save("explorer", {"Speed": rows, "Sessions at once": sessions})))


def report(results: Results) -> str:
    """Return both tables in Markdown."""
    forms = {"ms at the server": ",.0f", "s": ".1f", "MiB a session": ".1f"}
    return page(results, forms | dict.fromkeys(("MiB before", "MiB after"), ",.0f"))


def speed(cache: Path) -> list[Row]:
    """Time pages and pickers, each as the median of several calls."""
    os.environ["STREAMLIT_LOG_LEVEL"] = "error"
    created = PagesManager.__init__

    def create(
        self, *args, **kwargs
    ) -> None:  # a server runs app.py before every page; AppTest forgets that
        created(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    PagesManager.__init__ = create
    lines = [(f"page switch to {name}, warm", switch(name)) for name in PAGES]
    curves, heatmap = opened("curves", dataset="digits"), opened("heatmap", dataset="digits")
    lines += [
        ("Curves: highlight another group", pick(curves, "group", ["3", "8"])),
        ("Curves: show RB(P, tau)", pick(curves, "figure", ["RB(P, tau)", "I_P(tau)"])),
        ("Curves: another model", pick(curves, "model", ["logistic_regression", "small_cnn"])),
        ("Heatmap: another order", pick(heatmap, "order", ["sigma", "name"])),
        ("Heatmap: another method", pick(heatmap, "method", ["minimal", "deepfool"])),
    ]
    name = (
        f"{N_GROUPS} groups x {len(models())} models x {len(EPOCHS)} epochs x "
        f"{len(METHODS)} methods"
    )
    seconds = write_tables(cache)
    lines.append(("measuring one of its tables, once", seconds * 1000))
    large = {"dataset": "digits", "model": models()[0], "sheet": "methods and epochs"}
    cold, warm = [], []
    for _ in range(N_CALLS):
        st.cache_data.clear()
        store.rows.record_of.cache_clear()
        app = AppTest.from_file(ROOT / "app.py", default_timeout=120)
        app.query_params.update(large)
        app.run()
        cold.append(timed(lambda app=app: app.switch_page("pages/heatmap.py").run()))
        warm.append(timed(app.run))
        if app.exception or app.error or len(app.get("vega_lite_chart")) != 1:
            raise SystemExit(f"the heatmap was not drawn: {app.main}")
    lines += [
        (f"heatmap of {name}, metadata of the tables read anew", statistics.median(cold) * 1000)
    ]
    lines += [(f"heatmap of {name}, warm", statistics.median(warm) * 1000)]
    return [{"what": what, "ms at the server": milliseconds} for what, milliseconds in lines]


def opened(page: str, **query: str) -> AppTest:
    """Open a page as a link does."""
    app = AppTest.from_file(ROOT / "app.py", default_timeout=120)
    app.query_params.update(query)
    app.run()
    return app.switch_page(f"pages/{page}.py").run()


def switch(page: str) -> float:
    """Return the median milliseconds of coming to a page that was shown before."""
    app = opened(page, dataset="digits")
    other = "curves" if page != "curves" else "heatmap"
    seconds = []
    for _ in range(N_CALLS):
        app.switch_page(f"pages/{other}.py").run()
        seconds.append(timed(lambda: app.switch_page(f"pages/{page}.py").run()))
    return statistics.median(seconds) * 1000


def pick(app: AppTest, key: str, options: list[str]) -> float:
    """Return the median milliseconds of picking options in turn, each of them seen before."""
    for option in options:
        app.selectbox(key=key).select(option).run()
    seconds = [
        timed(lambda option=option: app.selectbox(key=key).select(option).run())
        for option in options * N_CALLS
    ]
    return statistics.median(seconds) * 1000


def models() -> list[str]:
    """Return the nine registered models that the synthetic runs are named after."""
    return sorted(MODELS)[:9]


def write_tables(cache: Path) -> float:
    """Write runs and tables of distances as if nine models had been trained, and their measures.

    Return the seconds of one.

    One table is measured as the page does it. The others get the same numbers in another order: how
    they came about does not change how long they take to be drawn.
    """
    random = np.random.default_rng(0)
    n = N_GROUPS * N_PER_GROUP
    labels = np.repeat(np.arange(N_GROUPS), N_PER_GROUP)
    facts = find_run("digits", "small_cnn").facts
    for model in models():
        folder = cache / "runs" / "digits" / model / "synthetic"
        for epoch in EPOCHS:
            own = {
                "dataset_fingerprint": FINGERPRINT,
                "created": "2999-01-01",
                "n_epochs": 12,
                "n_test": n,
                "classes": tuple(f"kind {group:03d}" for group in range(N_GROUPS)),
            }
            own |= {
                "model": model,
                "run": "synthetic",
                "epoch": epoch,
                "sha256": f"{model} {epoch}",
            }
            store.write_record(folder / f"epoch-{epoch:04d}.json", facts.model_copy(update=own))
            (folder / f"epoch-{epoch:04d}.safetensors").touch()
            for name in METHODS:
                method, values = resolve_method(name)
                is_correct = random.random(n) < 0.7
                rows = pd.DataFrame(
                    {
                        "sample_id": [f"s{i}" for i in range(n)],
                        "label": labels,
                        "prediction": np.where(is_correct, labels, (labels + 1) % N_GROUPS),
                        "is_correct": is_correct,
                        "distance": np.where(is_correct, random.exponential(size=n), np.nan),
                        "bound": "upper",
                        "status": np.where(is_correct, "found", "misclassified"),
                        "perturbed_prediction": (labels + 1) % N_GROUPS,
                    }
                )
                key = TableKey(
                    weights=own["sha256"],
                    dataset=FINGERPRINT,
                    split=SPLIT,
                    method=name,
                    version=method.version,
                    parameters=values,
                    norm=method.norm,
                )
                made = {"model": model, "run": "synthetic", "epoch": epoch}
                names_of = {"dataset": "digits", "size": 8, "seed": 0, "attributes": {}}
                store.write_table(rows, key, Provenance(**names_of, **made, computed=()))
    known = etags()
    wanted = {}
    for run in rb.list_runs("digits"):
        if run.name != "synthetic":
            continue
        for epoch in EPOCHS:
            for name in METHODS:
                selection = Selection("digits", "class", run.model, run, epoch, name)
                wanted[cache_key(known, selection)] = selection
    first, *others = wanted
    seconds = timed(lambda: measure_some({first: wanted[first]}))
    bias = measured(first)
    for key in others:
        order = random.permutation(len(bias))
        keep(key, bias.assign(sigma=bias["sigma"].to_numpy()[order]))
    return seconds


async def many_sessions(cache: Path) -> Row:
    """Open sessions at once on one real server, a page each; return a row of the table."""
    with serve(ROOT, cache) as address:
        await session(address, PAGES[0])  # the first visitor makes the server load its libraries
        before = server_memory()
        start = time.perf_counter()
        ended = await asyncio.gather(
            *(session(address, PAGES[index % len(PAGES)]) for index in range(N_SESSIONS)),
            return_exceptions=True,
        )
        seconds, after = time.perf_counter() - start, server_memory()
    n_answered = sum(end is True for end in ended)
    return {
        "sessions": N_SESSIONS,
        "all answered": f"{n_answered} of {N_SESSIONS}",
        "s": seconds,
        "MiB before": before,
        "MiB after": after,
        "MiB a session": (after - before) / N_SESSIONS,
    }


async def session(address: str, page: str) -> bool:
    """Be one visitor: open a page of the shipped digits, and wait until all of it is drawn."""
    stream = address.replace("http", "ws") + "/_stcore/stream"
    async with websockets.connect(
        stream, max_size=None, subprotocols=["streamlit"], open_timeout=120
    ) as socket:
        ask = BackMsg()
        ask.rerun_script.query_string = f"dataset=digits&model=small_cnn&run={shipped_run()}"
        ask.rerun_script.page_name = page
        await socket.send(ask.SerializeToString())
        async with asyncio.timeout(300):
            while True:
                answer = ForwardMsg()
                answer.ParseFromString(await socket.recv())
                if answer.WhichOneof("type") == "script_finished":
                    if answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                        return True
                    if answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                        return False


def shipped_run() -> str:
    """Return the name of the run on the digits that ships."""
    return next((ROOT / "cache/bundled/runs/digits/small_cnn").iterdir()).name


def server_memory() -> float:
    """Return the resident memory in MiB of the server that this process has started."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return sum(memory("VmRSS", int(child)) for child in children) * 1e6 / 2**20


if __name__ == "__main__":
    typer.run(main)
