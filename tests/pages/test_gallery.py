from __future__ import annotations

import json
import re
import shlex
import shutil

import pytest
from synthetic_results import META, returns_on_new_tasks, write_study

from metarl_cli.claims.judge import judge_all
from metarl_cli.claims.wording import conclusion_text, tally, verdict_text
from metarl_cli.figures.curves import ranges
from metarl_cli.pages.gallery import write_gallery
from metarl_cli.papers import FIGURES
from metarl_cli.results import Results


def test_the_gallery_shows_every_figure_with_its_command(results, tmp_path):
    files = write_gallery(Results(results), tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert tmp_path / "README.md" == files[-1] and all(path.exists() for path in files)
    assert re.findall(r"^## (\S+):", text, re.MULTILINE) == list(FIGURES)
    assert re.findall(r"\((\S+\.png)\)", text) == ["tmaml-table1.png", "sgmrl-fig1.png", "sgmrl-table2.png"]
    assert (tmp_path / "tmaml-table1.pdf").exists() and (tmp_path / "sgmrl-table2.md").exists()
    place = results.as_posix()
    assert f"Profile quick, seeds 1, 2. `metarl plot tmaml-table1 --results {place}`" in text
    assert "Profile quick, seeds 1, 2, 4." in text
    assert text.count("Not yet run; `metarl reproduce") == 9


def test_a_command_can_be_copied_whatever_the_results_are_called(results, tmp_path):
    shutil.copytree(results, tmp_path / "my results")
    write_gallery(Results(tmp_path / "my results"), tmp_path / "figures")
    text = (tmp_path / "figures" / "README.md").read_text(encoding="utf-8")
    command = re.search("`(metarl plot tmaml-table1 .*)`", text).group(1)
    assert shlex.split(command)[-1] == (tmp_path / "my results").as_posix()


def test_a_figure_says_what_was_run_and_what_to_conclude(results, tmp_path):
    write_gallery(Results(results), tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    table1, table2 = (
        text.partition(f"## {name}:")[2].partition("\n## ")[0] for name in ("tmaml-table1", "sgmrl-table2")
    )
    ran = (
        "- `quick`: AntFwdBack, HumanoidRandDir, 5 tasks × 4 trajectories × 2 iterations, 0.00M steps a run; 12 runs, "
        "n = 2, 0.0067 core-hours."
    )
    assert ran in table1
    (judgement,) = (judgement for judgement in judge_all(Results(results)) if judgement.claim.name == "tmaml-table-1")
    assert f"- {conclusion_text(judgement)}" in table1
    assert "Left open at 0.00M steps, n = 2 (holds on 1, undecided on 3, not yet run on 4)" in table1
    assert (
        "as printed that decides nothing" in table1
        and "maml-ppo − lvc-ppo, AntFwdBack, final return (quick, n = 2 over 2 iterations): −7.75" in table1
    )
    assert "- `quick`: its study, n = 3." in table2 and "Borne out" not in table1
    assert text.count("What to conclude:") == 2


def test_a_figure_with_runs_says_what_every_curve_comes_to(results, tmp_path):
    write_gallery(Results(results), tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    sections = {part.partition(":")[0]: part for part in text.split("\n## ")}
    rows = re.findall(r"^\| AntFwdBack \| .* \| 2 \| 2 \| quick \|$", sections["tmaml-table1"], re.MULTILINE)
    assert len(rows) == 3 and "What every curve comes to" not in sections["sgmrl-fig1"]


@pytest.mark.parametrize(("seconds", "said"), [(7200.0, ", 2 core-hours"), (0.1, "")])
def test_the_seconds_of_a_study_are_said_where_it_measured(tmp_path, seconds, said):
    path = write_study(tmp_path, "sgmrl-table2", "quick", returns_on_new_tasks("sgmrl-table2", {1: 0.0, 2: 3.0}))
    path.with_name("sgmrl-table2.meta.json").write_text(json.dumps(META | {"cpu_seconds": seconds}), encoding="utf-8")
    write_gallery(Results(tmp_path), tmp_path / "figures")
    text = (tmp_path / "figures" / "README.md").read_text(encoding="utf-8")
    assert f"- `quick`: its study, n = 2{said}." in text


@pytest.mark.parametrize(
    ("seeds", "text"), [([2, 1], "1, 2"), ([1, 2, 3, 5], "1–3, 5"), ([], ""), ([4, 0, 2], "0, 2, 4")]
)
def test_seeds_in_a_row_are_a_range(seeds, text):
    assert ranges(seeds) == text


def test_the_gallery_says_what_was_found_of_every_claim(results, tmp_path):
    write_gallery(Results(results), tmp_path)
    claims = (tmp_path / "README.md").read_text(encoding="utf-8").partition("## Claims")[2]
    rows = [line.split(" | ") for line in claims.splitlines() if " | " in line][1:]
    judgements = judge_all(Results(results))
    assert [(row[0][2:], row[1].partition(" (")[0]) for row in rows] == [
        (verdict_text(judgement), judgement.claim.statement.partition(" (")[0]) for judgement in judgements
    ]
    assert {len(row) for row in rows} == {6} and claims.strip().startswith(tally(judgements))


def test_plot_all_makes_the_gallery_and_needs_no_figure(metarl, tmp_path):
    completed = metarl("plot", "--all", "--results", tmp_path / "nowhere", "--out", tmp_path)
    assert completed.code == 0 and completed.out.splitlines()[-1] == str(tmp_path / "README.md")
    for arguments in ((), ("promp-fig2", "--all")):
        refused = metarl("plot", *arguments)
        assert refused.code == 2 and "or --all" in refused.err


def test_damaged_results_cost_no_other_figure(metarl, results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    write_study(tmp_path / "results", "sgmrl-table1", "quick", [{"x": 1}]).write_bytes(b"\xff\xfe\x00\n")
    ended = metarl("plot", "--all", "--results", tmp_path / "results", "--out", tmp_path / "figures")
    assert ended.code == 3 and "sgmrl-table1.csv" in ended.err
    assert (tmp_path / "figures" / "tmaml-table1.png").exists()
    assert "Not drawn: " in (tmp_path / "figures" / "README.md").read_text(encoding="utf-8")
