from __future__ import annotations

import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from small_report import POSTS, Page
from synthetic_results import META, walks, write_figure_runs, write_study

import metarl_cli.pages
from metarl_cli.claims.judge import judge_all
from metarl_cli.claims.wording import conclusion_text
from metarl_cli.figures.provenance import run_rows, table_rows
from metarl_cli.pages.report import LIBRARY, write_report
from metarl_cli.papers import CLAIMS, FIGURES
from metarl_cli.results import Results
from metarl_cli.store import table_path

PAGES = Path(metarl_cli.pages.__file__).parent

# What is on the page


def test_every_claim_and_figure_has_its_place(report):
    page = Page(report)
    assert page.open == []
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    places = {*CLAIMS, *FIGURES, "glance", "claims", "figures", "provenance"}
    assert places == {name for name in identifiers if not name.endswith("-behind")}
    assert {link["href"][1:] for link in page.every("a")} <= set(identifiers)
    assert all(claim.statement in page.text for claim in CLAIMS.values())


def cards(report):
    return dict(zip(CLAIMS, re.split("<article", report.read_text(encoding="utf-8"))[1:], strict=True))


def test_a_verdict_stands_with_its_profile_seeds_and_effect(report):
    of = cards(report)
    order = of["tmaml-table-1"]
    assert "0.00M steps, n = 2 · <strong>too small</strong> evidence" in order
    assert "<dd>quick, n = 2 over 2 iterations, too small to decide as printed</dd>" in order
    assert "holds on 1, undecided on 3, not yet run on 4" in order
    assert "<dd>−7.75 [−17.28, 1.78] " in order and "(maml-ppo − lvc-ppo, AntFwdBack, final return)" in order
    assert "<strong>exact</strong>" in of["tmaml-theorem-1"] and ">✗</span> fails" in of["tmaml-theorem-1"]
    assert "no data" in of["promp-dice-deviation"] and "not yet run" in of["promp-dice-deviation"]
    assert of["sgmrl-table-2"].count("<tr>") == 1 + 9


def test_a_claim_leads_to_its_figure_and_to_what_is_behind_it(results, report):
    of = cards(report)
    glance = report.read_text(encoding="utf-8").partition('id="glance"')[2].partition('id="claims"')[0]
    assert 'href="#tmaml-table1"' in glance and 'href="#tmaml-table-1-behind"' in glance
    assert 'href="#promp-dice-deviation-behind"' not in glance  # nothing was run
    assert '<a href="#tmaml-theorem-1">computed' in glance
    order = of["tmaml-table-1"].partition('<details id="tmaml-table-1-behind">')[2]
    assert "<code>quick/runs/lvc-ppo/AntFwdBack/</code> <code>seed1</code> <code>seed2</code>" in order
    paths = [
        results / directory / name
        for directory, names in re.findall("<li><code>(.*?)</code>(.*)</li>", order)
        for name in re.findall("<code>(.*?)</code>", names)
    ]
    assert len(paths) == 3 * 2 * 2 and all((path / "progress.csv").exists() for path in paths)
    assert "<code>quick/sgmrl-table2/</code> <code>sgmrl-table2.csv</code>" in of["sgmrl-table-2"]


def test_the_page_needs_nothing_but_itself(report):
    page = Page(report)
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not [attributes for attributes in page.every("script") if "src" in attributes]
    assert all(image["src"].startswith("data:image/png;base64,iVBOR") for image in page.every("img"))
    style = re.search("<style>(.*?)</style>", report.read_text(encoding="utf-8"), re.DOTALL).group(1)
    assert not re.search(r"@import|url\(", style)


def test_the_library_is_as_its_authors_built_it_and_keeps_its_licence(report):
    digests = {name: hashlib.sha256((PAGES / name).read_bytes()).hexdigest()[:12] for name in LIBRARY.values()}
    assert digests == {
        "uplot/uPlot.iife.min.js": "19c8d4c6ad88",
        "uplot/uPlot.min.css": "df630c6a8d6f",
        "uplot/LICENSE": "8f989229699b",
    }
    assert "Copyright (c) 2022 Leon Sorokin" in Page(report).text


def test_the_page_is_made_to_be_read_by_everybody(report):
    page = Page(report)
    assert page.every("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.every("meta")
    assert len(page.every("img")) == 1  # of the papers' two tables there are none: they are tables
    assert all("profile quick, seeds 1, 2" in image["alt"] for image in page.every("img"))
    assert all(image["loading"] == "lazy" and int(image["height"]) > 100 for image in page.every("img"))
    assert len(page.every("caption")) == len(page.every("table")) > 4
    assert {cell["scope"] for cell in page.every("th")} == {"col"}
    scrolling = [box for box in page.every("div") if box.get("class") == "scroll"]
    assert all(box["tabindex"] == "0" and box["aria-label"] and box["role"] == "region" for box in scrolling)
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))


def test_the_papers_numbers_stand_beside_ours(report):
    text = Page(report).text
    assert "SwimmerRandVel MAML-VPG, K = 3 90.6 ± 14.99 91.27 [86.1, 96.44] 3" in text


def test_every_curve_says_what_it_comes_to(report):
    text = Page(report).text
    assert "What every curve comes to (6) Undiscounted return of every curve of tmaml-table1" in text
    assert "AntFwdBack LVC-PPO 9.25 [6.073, 12.43] 7.125 [5.537, 8.713] −1 2 2 quick" in text
    assert text.count("What every curve comes to") == 1  # the other figures have studies alone


def test_every_number_says_where_it_comes_from(results, report):
    text = Page(report).text
    assert "quick lvc-ppo AntFwdBack 1, 2 2 abcdef123456 0.1.0 torch 2.13.0" in text
    path = table_path(results, "quick", "sgmrl-table2")
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert text.count(fingerprint) == 2
    assert "quick/sgmrl-table2/sgmrl-table2.csv" in text


def test_the_same_results_give_the_same_bytes(results, report):
    write_report(Results(results), results / "again.html")
    assert (results / "again.html").read_bytes() == report.read_bytes()


def test_a_picture_is_drawn_again_only_when_what_it_shows_changes(tmp_path, monkeypatch):
    def pictures(report):
        return re.findall(r"data:image/png;base64,[^\"]+", report.read_text(encoding="utf-8"))

    def write(name):
        write_report(Results(tmp_path), tmp_path / f"{name}.html")
        return pictures(tmp_path / f"{name}.html")

    table = write_study(tmp_path, "sgmrl-fig1", "quick", walks("sgmrl-fig1", seeds=(1, 2)))
    (first,) = write("first")
    rows = pd.read_csv(table)
    rows.assign(x=rows["x"] / 2).to_csv(table, index=False)
    (second,) = write("second")
    assert second != first
    monkeypatch.setattr("metarl_cli.figures.pictures.pictures", lambda drawing: pytest.fail("drawn again"))
    assert write("again") == [second]


def test_a_directory_in_the_place_of_a_table_costs_that_table_alone(tmp_path):
    table_path(tmp_path, "quick", "promp-fig3").mkdir(parents=True)
    write_report(Results(tmp_path), tmp_path / "report.html")
    assert "Not drawn: Cannot read" in Page(tmp_path / "report.html").text


def test_names_from_files_are_escaped(tmp_path):
    write_figure_runs(tmp_path, "tmaml-table1", "quick", POSTS)
    for path in tmp_path.rglob("meta.json"):
        path.write_text(json.dumps(META | {"git_commit": "<b>"}), encoding="utf-8")
    write_report(Results(tmp_path), tmp_path / "report.html")
    assert "&lt;b&gt;" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_without_any_result_the_page_says_how_to_get_them(tmp_path):
    write_report(Results(tmp_path / "nowhere"), tmp_path / "report.html")
    text = Page(tmp_path / "report.html").text
    assert "metarl reproduce promp-fig2 runs it." in text and "There are no results yet." in text


def test_a_figure_says_on_the_page_what_was_run_and_what_to_conclude(results, report):
    text = Page(report).text
    ran = "quick: AntFwdBack, HumanoidRandDir, 5 tasks × 4 trajectories × 2 iterations, 0.00M steps a run; 12 runs, "
    assert f"{ran}n = 2, 0.0067 core-hours." in text
    assert text.count("What to conclude:") == 2  # of sgmrl-fig1, which shows no claim, nothing
    assert all(
        conclusion_text(judgement).replace("`", "") in text
        for judgement in judge_all(Results(results))
        if judgement.claim.figure in ("tmaml-table1", "sgmrl-table2")
    )


def test_the_command_says_what_it_found(metarl, tmp_path):
    completed = metarl("report", "--results", tmp_path, "--out", tmp_path / "report.html")
    assert completed.code == 0
    claims = re.match(r"(\d+) claims as printed: (\d+) hold, (\d+) fail, (\d+) not yet run\. ", completed.out)
    total, *parts = map(int, claims.groups())
    assert total == sum(parts) == len(CLAIMS)
    assert f"{sum(parts[:2])} of {total} are decided" in completed.out


def test_damaged_results_are_named(metarl, tmp_path):
    path = write_study(tmp_path, "sgmrl-table1", "quick", [{"x": 1}])
    completed = metarl("report", "--results", tmp_path, "--out", tmp_path / "report.html")
    assert completed.code == 3 and "sgmrl-table1.csv has no column" in completed.err
    assert "Not drawn: " in (tmp_path / "report.html").read_text(encoding="utf-8")
    path.unlink()
    write_figure_runs(tmp_path, "tmaml-table1", "quick", {"lvc-ppo": {1: (1.0,)}})
    next(tmp_path.rglob("meta.json")).write_text("{", encoding="utf-8")
    assert "meta.json: Invalid JSON" in metarl("report", "--results", tmp_path, "--out", tmp_path / "report.html").err


# Provenance


def test_runs_that_were_made_differently_are_told_apart(results, tmp_path):
    write_figure_runs(tmp_path, "tmaml-table1", "quick", POSTS)
    first = sorted(tmp_path.rglob("lvc-ppo/AntFwdBack/*/meta.json"))[0]
    first.write_text(json.dumps(META | {"git_commit": "fff-dirty"}), encoding="utf-8")
    sorted(tmp_path.rglob("dice-ppo/AntFwdBack/*/meta.json"))[0].unlink()
    rows = {(row["curve"], row["environment"]): row for row in run_rows(Results(tmp_path))}
    assert rows["lvc-ppo", "AntFwdBack"]["commit"] == "abcdef123456, fff-dirty"
    assert rows["dice-ppo", "AntFwdBack"]["commit"] == "abcdef123456, not recorded"
    assert rows["lvc-ppo", "HumanoidRandDir"] == {
        "profile": "quick",
        "curve": "lvc-ppo",
        "environment": "HumanoidRandDir",
        "seeds": "1, 2",
        "iterations": "2",
        "commit": "abcdef123456",
        "metarl": "0.1.0",
        "packages": "torch 2.13.0",
    }
    assert table_rows(Results(results))[0]["commit"] == "not recorded"
    path = write_study(tmp_path, "sgmrl-table2", "quick", [{"x": 1}])
    path.with_name("sgmrl-table2.meta.json").write_text(json.dumps(META), encoding="utf-8")
    assert [table_rows(Results(tmp_path))[0][key] for key in ("commit", "packages")] == ["abcdef123456", "torch 2.13.0"]
