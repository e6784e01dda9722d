from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from synthetic_results import META, returns_on_new_tasks, write_figure_runs, write_study

from metarl_cli.errors import UserError
from metarl_cli.pages.gallery import write_gallery
from metarl_cli.pages.report import write_report
from metarl_cli.papers import CLAIMS, FIGURES
from metarl_cli.reporting.claims import judge_all
from metarl_cli.reporting.effort import ranges
from metarl_cli.reporting.provenance import run_rows, table_rows
from metarl_cli.reporting.wording import conclusion_text, tally, verdict_text
from metarl_cli.store import table_path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
POSTS = {
    "lvc-ppo": {1: (5.0, 9.0), 2: (5.0, 9.5)},
    "maml-ppo": {1: (1.0, 2.0), 2: (0.0, 1.0)},
    "dice-ppo": {1: (1.0, 1.5), 2: (0.0, 2.0)},
}


def exact(check):
    """Numbers of their own order of magnitude, without computing them."""
    return 2.5 if check.endswith(("reinforce-hessian", "lvc-hessian", "printed-hessian", "variance")) else 1e-16


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Runs of one figure, the table of another, and of the other ten nothing."""
    path = tmp_path_factory.mktemp("results")
    write_figure_runs(path, "tmaml-table1", "quick", POSTS)
    write_study(path, "sgmrl-table2", "quick", returns_on_new_tasks("sgmrl-table2", {1: 0.0, 2: 3.0, 4: -1.0}))
    return path


@pytest.fixture(scope="module")
def report(results):
    write_report(results, results / "out" / "report.html", exact)
    return results / "out" / "report.html"


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def every(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


# What is on the page


def test_every_claim_and_figure_has_its_place(report):
    page = Page(report)
    assert page.open == []
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert {*CLAIMS, *FIGURES, "glance", "claims", "figures", "provenance"} == set(identifiers)
    assert {link["href"][1:] for link in page.every("a")} <= set(identifiers)
    assert all(claim.statement in page.text for claim in CLAIMS.values())


def test_a_verdict_stands_with_its_profile_seeds_and_effect(report):
    cards = dict(zip(CLAIMS, re.split("<article", report.read_text(encoding="utf-8"))[1:], strict=True))
    order = cards["tmaml-table-1"]
    assert "0.00M steps, n = 2 <strong>quick, n = 2 over 2 iterations, too small to decide as printed</strong>" in order
    assert "holds on 1, undecided on 3, not yet run on 4" in order
    assert "<dd>−7.75 [−17.28, 1.78] " in order and "(maml-ppo − lvc-ppo, AntFwdBack, final return)" in order
    assert "exact</strong>" in cards["tmaml-theorem-1"] and ">✗</span> fails" in cards["tmaml-theorem-1"]
    assert "no data" in cards["promp-dice-deviation"] and "not yet run" in cards["promp-dice-deviation"]
    assert cards["sgmrl-table-2"].count("<tr>") == 1 + 9


def test_the_page_needs_nothing_but_itself(report):
    html, page = report.read_text(encoding="utf-8"), Page(report)
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r"base64,[^\"]*", "", html))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert all(image["src"].startswith("data:image/png;base64,iVBOR") for image in page.every("img"))


def test_the_page_is_made_to_be_read_by_everybody(report):
    page = Page(report)
    assert page.every("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.every("meta")
    assert len(page.every("img")) == 2
    assert all("profile quick, seeds 1, 2" in image["alt"] for image in page.every("img"))
    assert len(page.every("caption")) == len(page.every("table")) > 4
    assert {cell["scope"] for cell in page.every("th")} == {"col"}
    scrolling = [box for box in page.every("div") if box["class"] == "scroll"]
    assert all(box["tabindex"] == "0" and box["aria-label"] and box["role"] == "region" for box in scrolling)
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))


def test_the_papers_numbers_stand_beside_ours(report):
    text = Page(report).text
    assert "SwimmerRandVel MAML-VPG, K = 3 90.6 ± 14.99 91.27 [86.1, 96.44] 3" in text


def test_every_number_says_where_it_comes_from(results, report):
    text = Page(report).text
    assert "quick lvc-ppo AntFwdBack 1, 2 2 abcdef123456 0.1.0 torch 2.13.0" in text
    path = table_path(results, "quick", "sgmrl-table2")
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert text.count(fingerprint) == 2
    assert "quick/sgmrl-table2/sgmrl-table2.csv" in text


def test_the_same_results_give_the_same_bytes(results, report):
    write_report(results, results / "again.html", exact)
    assert (results / "again.html").read_bytes() == report.read_bytes()


def test_names_from_files_are_escaped(tmp_path):
    write_figure_runs(tmp_path, "tmaml-table1", "quick", POSTS)
    for path in tmp_path.rglob("meta.json"):
        path.write_text(json.dumps(META | {"git_commit": "<b>"}), encoding="utf-8")
    write_report(tmp_path, tmp_path / "report.html", exact)
    assert "&lt;b&gt;" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_without_any_result_the_page_says_how_to_get_them(tmp_path):
    write_report(tmp_path / "nowhere", tmp_path / "report.html", exact)
    text = Page(tmp_path / "report.html").text
    assert "metarl reproduce promp-fig2 runs it." in text and "There are no results yet." in text


def test_the_command_says_what_it_found(metarl, tmp_path):
    completed = metarl("report", "--results", tmp_path, "--out", tmp_path / "report.html")
    assert completed.code == 0
    claims = re.match(r"(\d+) claims as printed: (\d+) holds, (\d+) fails, (\d+) not yet run\. ", completed.out)
    total, *parts = map(int, claims.groups())
    assert total == sum(parts) == len(CLAIMS)
    assert f"{sum(parts[:2])} of {total} are decided" in completed.out


def test_damaged_results_are_named(metarl, tmp_path):
    path = write_study(tmp_path, "sgmrl-table1", "quick", [{"x": 1}])
    completed = metarl("report", "--results", tmp_path, "--out", tmp_path / "report.html")
    assert completed.code == 2 and "sgmrl-table1 has no column" in completed.err
    path.unlink()
    write_figure_runs(tmp_path, "tmaml-table1", "quick", {"lvc-ppo": {1: (1.0,)}})
    next(tmp_path.rglob("meta.json")).write_text("{", encoding="utf-8")
    assert "meta.json is not valid JSON" in metarl("report", "--results", tmp_path).err


# Provenance


def test_runs_that_were_made_differently_are_told_apart(results, tmp_path):
    write_figure_runs(tmp_path, "tmaml-table1", "quick", POSTS)
    first = sorted(tmp_path.rglob("lvc-ppo/AntFwdBack/*/meta.json"))[0]
    first.write_text(json.dumps(META | {"git_commit": "fff-dirty"}), encoding="utf-8")
    sorted(tmp_path.rglob("dice-ppo/AntFwdBack/*/meta.json"))[0].unlink()
    rows = {(row["curve"], row["environment"]): row for row in run_rows(tmp_path)}
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
    assert table_rows(results)[0]["commit"] == "not recorded"
    path = write_study(tmp_path, "sgmrl-table2", "quick", [{"x": 1}])
    path.with_name("sgmrl-table2.meta.json").write_text(json.dumps(META), encoding="utf-8")
    assert [table_rows(tmp_path)[0][key] for key in ("commit", "packages")] == ["abcdef123456", "torch 2.13.0"]


# The gallery


def test_the_gallery_shows_every_figure_with_its_command(results, tmp_path):
    files = write_gallery(results, tmp_path, exact)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert tmp_path / "README.md" == files[-1] and all(path.exists() for path in files)
    assert re.findall(r"^## (\S+):", text, re.MULTILINE) == list(FIGURES)
    assert re.findall(r"\((\S+\.png)\)", text) == ["tmaml-table1.png", "sgmrl-table2.png"]
    assert (tmp_path / "tmaml-table1.pdf").exists() and (tmp_path / "sgmrl-table2.md").exists()
    place = results.as_posix()
    assert f"Profile quick, seeds 1, 2. `metarl plot tmaml-table1 --results {place}`" in text
    assert "Profile quick, seeds 1, 2, 4." in text
    assert text.count("Not yet run; `metarl reproduce") == 10


def test_a_figure_says_what_was_run_and_what_to_conclude(results, report, tmp_path):
    write_gallery(results, tmp_path, exact)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    table1, table2 = (
        text.partition(f"## {name}:")[2].partition("\n## ")[0] for name in ("tmaml-table1", "sgmrl-table2")
    )
    ran = (
        "- `quick`: AntFwdBack, HumanoidRandDir, 5 tasks × 4 trajectories × 2 iterations, 0.00M steps a run; 12 runs, "
        "n = 2, 0.0067 core-hours."
    )
    assert ran in table1
    (judgement,) = (judgement for judgement in judge_all(results, exact) if judgement.claim.name == "tmaml-table-1")
    assert f"- {conclusion_text(judgement)}" in table1
    assert "Left open at 0.00M steps, n = 2 (holds on 1, undecided on 3, not yet run on 4)" in table1
    assert (
        "as printed that decides nothing" in table1 and "maml-ppo − lvc-ppo, AntFwdBack, final return: −7.75" in table1
    )
    assert "- `quick`: its study, n = 3." in table2 and "Borne out" not in table1
    page = Page(report).text
    assert ran.removeprefix("- ").replace("`", "") in page and conclusion_text(judgement) in page


def test_the_seconds_of_a_study_are_said_where_they_are_known(tmp_path):
    path = write_study(tmp_path, "sgmrl-table2", "quick", returns_on_new_tasks("sgmrl-table2", {1: 0.0, 2: 3.0}))
    path.with_name("sgmrl-table2.meta.json").write_text(json.dumps(META | {"cpu_seconds": 7200.0}), encoding="utf-8")
    write_gallery(tmp_path, tmp_path / "figures", exact)
    text = (tmp_path / "figures" / "README.md").read_text(encoding="utf-8")
    assert "- `quick`: its study, n = 2, 2 core-hours." in text


@pytest.mark.parametrize(
    ("seeds", "text"), [([2, 1], "1, 2"), ([1, 2, 3, 5], "1–3, 5"), ([], ""), ([4, 0, 2], "0, 2, 4")]
)
def test_seeds_in_a_row_are_a_range(seeds, text):
    assert ranges(seeds) == text


def test_the_gallery_says_what_was_found_of_every_claim(results, tmp_path):
    write_gallery(results, tmp_path, exact)
    claims = (tmp_path / "README.md").read_text(encoding="utf-8").partition("## Claims")[2]
    rows = [line.split(" | ") for line in claims.splitlines() if " | " in line][1:]
    judgements = judge_all(results, exact)
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


def test_damaged_results_stop_the_gallery(tmp_path):
    write_study(tmp_path, "sgmrl-table1", "quick", [{"x": 1}]).write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(UserError, match="sgmrl-table1"):
        write_gallery(tmp_path, tmp_path / "figures", exact)


# In a browser

MEASURE = """<script>
addEventListener("load", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const wide = [...document.querySelectorAll("body *")].filter(element =>
    !element.closest(".scroll") && element.getBoundingClientRect().right > innerWidth + 0.5);
  const texts = [...document.querySelectorAll("p, td, th, a, code, summary, dt, dd, caption, figcaption, .verdict")];
  const colours = new Set(texts.map(element => {
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    return getComputedStyle(element).color + " on " + getComputedStyle(behind).backgroundColor;
  }));
  parent.document.title = JSON.stringify({
    width: innerWidth, overflow: document.documentElement.scrollWidth, wide: wide.map(element => element.className),
    scrolls: [...document.querySelectorAll(".scroll")].some(box => box.scrollWidth > box.clientWidth),
    page: getComputedStyle(document.body).backgroundColor, colours: [...colours],
  });
});
</script>"""
"""Run in a frame, because a browser's own window cannot be as narrow as a phone."""


def measured(report, tmp_path, width, scheme):
    """What a browser makes of the page, at a width and in a colour scheme (0 dark, 1 light)."""
    page = tmp_path / "measured.html"
    content = report.read_text(encoding="utf-8").replace("</body>", f"{MEASURE}</body>")
    frame = f'<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{escape(content)}"></iframe>'
    page.write_text(f"<!doctype html><title></title><meta charset=utf-8>{frame}", encoding="utf-8")
    quiet = ["background-networking", "component-update", "sync", "gpu", "default-apps", "extensions"]
    command = [
        CHROMIUM,
        *("--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)),
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=1400,900",
        "--dump-dom",
        page.as_uri(),
    ]
    completed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return json.loads(re.search("<title>(.*?)</title>", completed.stdout).group(1).replace("&gt;", ">"))


def luminance(colour):
    channels = [int(text) / 255 for text in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else math.pow((c + 0.055) / 1.055, 2.4) for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(pair):
    light, dark = sorted((luminance(colour) for colour in pair.split(" on ")), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; Debian's package `chromium` has one")
@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_overflow_and_with_contrast(report, tmp_path, width, scheme):
    found = measured(report, tmp_path, width, ["dark", "light"].index(scheme))
    assert found["width"] == width
    assert found["overflow"] <= width and found["wide"] == []
    assert found["scrolls"] == (width == 390)
    assert (luminance(found["page"]) < 0.2) == (scheme == "dark")
    assert len(found["colours"]) > 4
    assert min(map(contrast, found["colours"])) >= 4.5


def test_contrast_is_measured_as_the_guidelines_say():
    assert contrast("rgb(0, 0, 0) on rgb(255, 255, 255)") == pytest.approx(21.0)
    assert contrast("rgb(119, 119, 119) on rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)
