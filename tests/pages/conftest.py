from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import sync_playwright
from small_report import CURVES, POSTS
from synthetic_results import returns_on_new_tasks, walks, write_figure_runs, write_study

from metarl_cli.pages.report import write_report
from metarl_cli.results import Results

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync", "default-apps", "extensions")


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Runs of one figure, the tables of two others, and of the other nine nothing."""
    path = tmp_path_factory.mktemp("results")
    write_figure_runs(path, "tmaml-table1", "quick", POSTS)
    write_study(path, "sgmrl-table2", "quick", returns_on_new_tasks("sgmrl-table2", {1: 0.0, 2: 3.0, 4: -1.0}))
    write_study(path, "sgmrl-fig1", "quick", walks("sgmrl-fig1", seeds=(1, 2)))
    return path


@pytest.fixture(scope="session")
def report(results):
    write_report(Results(results), results / "out" / "report.html")
    return results / "out" / "report.html"


@pytest.fixture(scope="session")
def report_with_curves(tmp_path_factory):
    """Of the same, and of runs whose curves three figures show."""
    path = tmp_path_factory.mktemp("curves")
    write_figure_runs(path, "promp-fig2", "quick", CURVES)
    write_study(path, "sgmrl-table2", "quick", returns_on_new_tasks("sgmrl-table2", {1: 0.0, 2: 3.0, 4: -1.0}))
    write_report(Results(path), path / "report.html")
    return path / "report.html"


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian's package `chromium` has one")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()
