import numpy as np
import pandas as pd
import pytest

import rbcore as rb
from rbcore.reports.reproduction import PLAN, paper, prepare, quick
from rbcore.reports.reproduction.agreement_tables import epochs_table, ug100_agreement_table
from rbcore.reports.reproduction.tables import composition_table, median_table
from tests.cli.test_main import run
from tests.reports.test_page import Page

SECTIONS = {
    "data",
    "toys",
    "median_exact_distance",
    "agreement_with_exact",
    "ug100",
    "agreement_of_methods",
    "epochs",
    "signs_by_group",
    "fooled_at_one_budget",
    "raw_and_standardized",
    "pretraining",
    "provenance",
}


@pytest.mark.slow
def test_a_quick_reproduction_of_digits(tmp_path, monkeypatch):
    monkeypatch.delenv("RBCORE_UG100_ROOT", raising=False)
    out = tmp_path / "a folder"
    done = run("reproduce", "--quick", "--dataset", "digits", "--dataset", "adience", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out / "report.html")
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert (
        set(page.ids) == SECTIONS and len(page.sources) == 5
    )  # toys, curves, bars; no group is large enough for a scatter
    assert str(tmp_path) not in text and "--out FOLDER" in text
    tables = {path.stem: pd.read_csv(path) for path in out.glob("*.csv")}
    assert set(tables) == SECTIONS
    for name in SECTIONS - {"provenance"}:
        assert {"dataset", "quantity", "paper", "ours", "n", "low", "high", "note"} <= set(
            tables[name].columns
        )
        known = tables[name][tables[name]["ours"].notna()]
        assert known["n"].notna().all()  # no number without its n
    absent = tables["median_exact_distance"].set_index("dataset").loc["Adience"]
    assert (
        absent["note"] == "not run: data absent"
        and absent["paper"] == 0.38
        and np.isnan(absent["ours"])
    )
    assert "not run: data absent" in tables["ug100"]["note"].item()
    digits = tables["median_exact_distance"].query("dataset != 'Adience'")
    exact = rb.stored_distances(
        rb.list_runs("digits", "logistic_regression")[0], "last", "exact"
    ).rows
    expected = exact.iloc[:100]["distance"].median()  # of correct ones: the others have none
    assert digits["ours"].iloc[0] == pytest.approx(expected, rel=1e-5)
    weights = tables["provenance"]["weights"]
    assert weights.str.fullmatch("[0-9a-f]{64}").all()
    again = run("reproduce", "--quick", "--dataset", "digits", "--out", tmp_path / "again")
    assert again.returncode == 0 and "it/s" not in again.stderr.split("Writing")[1]


def test_what_fails_is_said_and_stops_nothing(tmp_path):
    audits = [quick(audit) for audit in PLAN if audit.dataset == "utkface"]
    (material,) = prepare(audits, folders={"utkface": tmp_path / "nowhere"})
    assert material.dataset is None
    assert (
        material.problems[0].startswith("not run: ") and str(tmp_path) not in material.problems[0]
    )
    assert median_table([material])["note"].str.startswith("not run: ").all()
    assert run("reproduce", "--data", "utkfac=x").returncode == 2
    done = run("reproduce", "--data", "utkface")
    assert "--data utkface is not of the form NAME=FOLDER" in done.stderr


def test_first_and_middle_epochs_of_what_ships():
    (audit,) = (audit for audit in PLAN if audit.dataset == "digits")
    shipped = [work for work in audit.work if work.method == "deepfool"]
    (material,) = prepare([type(audit)("digits", audit.epochs, tuple(shipped))])
    table = epochs_table([material]).query("model == 'small_cnn'")
    assert list(table["quantity"].str.split().str[0]) == ["first", "middle"]
    for (_, row), number in zip(table.iterrows(), (1, 6), strict=True):
        signs = [
            np.sign(
                rb.robustness_bias(
                    rb.stored_distances(material.runs["small_cnn"], e, "deepfool").rows, "class"
                )["sigma"]
            )
            for e in (number, 12)
        ]
        assert row["ours"] == pytest.approx(100 * (signs[0] == signs[1]).mean()) and row["n"] == 10


@pytest.mark.slow
def test_toy_faces_lose_the_confounded_bias_at_one_mix_of_ages():
    (audit,) = (audit for audit in PLAN if audit.dataset == "toyfaces")
    shipped = [
        work for work in audit.work if work.method == "deepfool" and work.model == "small_cnn"
    ]
    (material,) = prepare([type(audit)("toyfaces", {"small_cnn": None}, tuple(shipped))])
    table = composition_table([material]).set_index("quantity")
    raw, standardized = (
        table.loc["site school: sigma, raw"],
        table.loc["site school: sigma, standardized"],
    )
    assert raw["high"] < 0 and standardized["low"] < 0 < standardized["high"]
    assert raw["n"] == standardized["n"]


def test_ug100_in_the_report(shared_data):
    table = ug100_agreement_table(shared_data / "ug100").query("model == 'all three'")
    assert (
        len(table) == 4
        and (table["ours"] == 100).all()
        and (table["n"] == 30).all()
        and (table["kappa"] == 1).all()
    )


def test_the_papers_values_are_those_of_its_text():
    assert round(100 * 125 / paper.N_GROUPS) == 83 and round(100 * 708 / paper.N_CELLS) == 94
    for share_deepfool, share_carlini, n in paper.SMOOTHING_AGREES.values():
        for share in (share_deepfool, share_carlini):
            assert abs(share - 100 * round(share * n / 100) / n) < 0.006  # a whole number of cells


def test_plans_name_datasets_and_shrink():
    assert {audit.dataset for audit in PLAN} >= set(paper.MEDIAN_EXACT) | {"digits", "toyfaces"}
    for audit in PLAN:
        small = quick(audit)
        assert all(work.rows.limit is not None and work.rows.limit <= 100 for work in small.work)
        assert len(small.work) == len(audit.work)
