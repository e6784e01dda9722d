from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from synthetic_results import write_figure_runs

from metarl_cli.claims.judge import judge_all
from metarl_cli.figures.draw import content_of
from metarl_cli.figures.ends import HEADER, ends
from metarl_cli.papers import FIGURES
from metarl_cli.results import Results

FIGURE = FIGURES["promp-fig2"]
ASCENT = np.arange(20.0)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two curves of two and three seeds at one size, and one of three iterations that no panel shows at another."""
    directory = tmp_path_factory.mktemp("results")
    posts = {"promp": {1: ASCENT, 2: ASCENT + 2.0, 3: ASCENT + 7.0}, "trpo-maml": {1: ASCENT + 4.0, 2: ASCENT + 6.0}}
    write_figure_runs(directory, FIGURE.name, "standard", posts)
    write_figure_runs(directory, FIGURE.name, "quick", {"promp": {1: (1.0, 2.0, 3.0)}})
    return Results(directory)


def rows(figure, results):
    return [dict(zip(HEADER, row, strict=True)) for row in ends(figure, content_of(figure, results), results)]


def test_a_curve_has_the_mean_over_seeds_of_its_last_tenth_and_of_all(results):
    (promp,) = (r for r in rows(FIGURE, results) if (r["Environment"], r["Method"]) == ("AntRandDir", "ProMP"))
    wide = stats.t.ppf(0.975, 2) * np.std([0.0, 2.0, 7.0], ddof=1) / np.sqrt(3)
    assert promp["Last tenth [95 %]"] == f"{18.5 + 3:.4g} [{21.5 - wide:.4g}, {21.5 + wide:.4g}]"
    assert promp["All iterations [95 %]"] == f"{9.5 + 3:.4g} [{12.5 - wide:.4g}, {12.5 + wide:.4g}]"
    assert promp["Last tenth, before adaptation"] == "−1"  # what a run of these has in all its iterations
    assert (promp["Iterations"], promp["n"], promp["Profile"]) == ("20", "3", "standard")


def test_environments_are_in_the_order_of_the_figure_and_curves_in_that_of_their_ends(results):
    found = [(row["Environment"], row["Method"]) for row in rows(FIGURE, results)]
    assert found == [(name, method) for name in FIGURE.environments for method in ("MAML-TRPO", "ProMP")]


def test_a_claim_is_on_the_difference_of_two_of_these_numbers(tmp_path):
    posts = {"promp": {1: ASCENT, 2: ASCENT - 8.0}, "trpo-maml": {1: 2.0 * ASCENT, 2: ASCENT}}
    write_figure_runs(tmp_path, FIGURE.name, "standard", posts)
    results = Results(tmp_path)
    claim = next(j for j in judge_all(results) if j.claim.name == "promp-final-return")
    effect = next(f.effect for f in claim.findings if "trpo-maml, AntRandDir" in f.effect.label)
    ours = {row["Method"]: float(row["Last tenth [95 %]"].split()[0]) for row in rows(FIGURE, results)}
    assert effect.mean == pytest.approx(ours["ProMP"] - ours["MAML-TRPO"])
