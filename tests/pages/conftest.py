from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import sync_playwright
from synthetic_results import returns_on_new_tasks, write_figure_runs, write_study

from metarl_cli.pages.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync", "default-apps", "extensions")
POSTS = {
    "lvc-ppo": {1: (5.0, 9.0), 2: (5.0, 9.5)},
    "maml-ppo": {1: (1.0, 2.0), 2: (0.0, 1.0)},
    "dice-ppo": {1: (1.0, 1.5), 2: (0.0, 2.0)},
}
CURVES = {
    "promp": {1: (1.0, 2.0, 40.0), 2: (2.0, 4.0, 60.0)},
    "lvc-vpg": {1: (-1.0, 1.0, 20.0), 2: (-3.0, 1.0, 30.0)},
}


@pytest.fixture(scope="session")
def exact():
    """Numbers of their own order of magnitude, without computing them."""

    def number(check):
        return 2.5 if check.endswith(("reinforce-hessian", "lvc-hessian", "printed-hessian", "variance")) else 1e-16

    return number


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """The runs of a table and of learning curves, the table of a study, and of the other nine nothing."""
    path = tmp_path_factory.mktemp("results")
    write_figure_runs(path, "tmaml-table1", "quick", POSTS)
    write_figure_runs(path, "promp-fig2", "quick", CURVES)
    write_study(path, "sgmrl-table2", "quick", returns_on_new_tasks("sgmrl-table2", {1: 0.0, 2: 3.0, 4: -1.0}))
    return path


@pytest.fixture(scope="session")
def report(results, exact):
    write_report(results, results / "out" / "report.html", exact)
    return results / "out" / "report.html"


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian's package `chromium` has one")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()
