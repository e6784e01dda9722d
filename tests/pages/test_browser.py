"""The page as Chromium shows it: what fits, what can be read, what a hand and a keyboard do, and what it asks for."""

from __future__ import annotations

import math
import re
import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect
from small_report import CURVES
from synthetic_results import write_figure_runs

from metarl_cli.pages.report import write_report
from metarl_cli.papers import CLAIMS, FIGURES
from metarl_cli.results import Results
from metarl_cli.store import runs_directory

MEASURE = """() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const seen = [...document.querySelectorAll("body *")].filter(element => element.checkVisibility());
  const outside = seen.filter(element => element.getBoundingClientRect().right > innerWidth + 0.5);
  const wide = outside.filter(element => !element.closest(".scroll"));
  const texts = seen.filter(element => element.matches(
    "p, td, th, a, code, summary, dt, dd, caption, figcaption, .verdict, button, label, select, output, .quiet"));
  const colours = new Set(texts.map(element => {
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    return getComputedStyle(element).color + " on " + getComputedStyle(behind).backgroundColor;
  }));
  return {
    overflow: document.documentElement.scrollWidth, wide: wide.map(element => element.outerHTML.slice(0, 80)),
    scrolls: [...document.querySelectorAll(".scroll")].some(box => box.scrollWidth > box.clientWidth),
    page: getComputedStyle(document.body).backgroundColor, colours: [...colours],
  };
}"""

INK = """place => {
  const canvas = place.querySelector("canvas"), copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  return [...data.keys()].filter(at => at % 4 === 3 && data[at]).length;
}"""
"""How many pixels of a chart are drawn."""


@contextmanager
def opened(browser, path, width=1280, scheme="light"):
    """The page in a window of its own; ends with what it complained of and asked for, which must be nothing."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(path.as_uri())
        yield page
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    finally:
        context.close()


def luminance(colour):
    channels = [int(text) / 255 for text in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else math.pow((c + 0.055) / 1.055, 2.4) for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(pair):
    light, dark = sorted((luminance(colour) for colour in pair.split(" on ")), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_the_guidelines_say():
    assert contrast("rgb(0, 0, 0) on rgb(255, 255, 255)") == pytest.approx(21.0)
    assert contrast("rgb(119, 119, 119) on rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_can_be_read(browser, report_with_curves, width, scheme):
    with opened(browser, report_with_curves, width, scheme) as page:
        first = page.locator("#promp-fig2 div.plot").first
        first.scroll_into_view_if_needed()
        first.locator("canvas").wait_for()
        assert first.evaluate(INK) > 1000
        found = page.evaluate(MEASURE)
    assert found["overflow"] <= width and found["wide"] == []
    assert found["scrolls"] == (width == 390)
    assert (luminance(found["page"]) < 0.2) == (scheme == "dark")
    assert len(found["colours"]) > 4
    assert min(map(contrast, found["colours"])) >= 4.5


# Claims


def names(page):
    return [text for text in page.locator("table.glance tbody tr:visible td:first-child a").all_inner_texts()]


def test_a_heading_sorts_the_claims_and_sorts_them_back(browser, report_with_curves):
    with opened(browser, report_with_curves) as page:
        assert names(page) == list(CLAIMS)
        heading = page.locator("table.glance th", has_text="Evidence")
        words = page.locator("table.glance td:nth-child(4) strong")
        heading.get_by_role("button").click()
        order = words.all_inner_texts()
        assert order[0] == "exact" and order[-1] == "none" and heading.get_attribute("aria-sort") == "ascending"
        heading.get_by_role("button").press("Enter")
        assert words.all_inner_texts()[0] == "none" and heading.get_attribute("aria-sort") == "descending"
        page.locator("table.glance th", has_text="Effect").get_by_role("button").press("Space")
        assert heading.get_attribute("aria-sort") is None
        page.locator("table.glance th", has_text="Claim").get_by_role("button").click()
        assert names(page) == list(CLAIMS)


def test_claims_without_a_number_come_last_in_either_direction(browser, report_with_curves):
    with opened(browser, report_with_curves) as page:
        button = page.locator("table.glance th", has_text="Effect").get_by_role("button")
        for _ in ("ascending", "descending"):
            button.click()
            effects = page.locator("table.glance td:nth-child(5)").all_inner_texts()
            assert effects[0] != "–" and effects[-1] == "–"


def test_words_and_choices_filter_the_claims(browser, report_with_curves):
    with opened(browser, report_with_curves) as page:
        page.get_by_role("searchbox").fill("hessian TMAML")
        assert names(page) == ["tmaml-theorem-1", "tmaml-theorem-2"]
        assert page.locator("#glance output").inner_text() == f"2 of {len(CLAIMS)}"
        page.get_by_role("searchbox").fill("")
        page.locator("select[name=worth]").select_option("too small")
        assert names(page) and set(page.locator("tr:visible td:nth-child(4) strong").all_inner_texts()) >= {"too small"}
        page.locator("select[name=verdict]").select_option("holds")
        assert names(page) == []


def test_a_claim_leads_to_its_unfolded_runs(browser, report_with_curves):
    with opened(browser, report_with_curves) as page:
        behind = page.locator("#promp-final-return-behind")
        assert behind.get_attribute("open") is None
        page.locator('a[href="#promp-final-return-behind"]').press("Enter")
        page.wait_for_function("document.querySelector('#promp-final-return-behind').open")
        assert "quick/runs/promp/HalfCheetahFwdBack/" in behind.inner_text()


# Curves


@contextmanager
def charts(browser, report, width=1280):
    """ProMP's Fig. 2 on the page, drawn."""
    with opened(browser, report, width) as page:
        figure = page.locator("#promp-fig2")
        figure.scroll_into_view_if_needed()
        figure.locator("div.plot canvas").first.wait_for()
        yield page, figure, figure.locator("div.plot").first


def shown(plot):
    """The steps that a chart shows."""
    scale = plot.evaluate("place => [place.chart.scales.x.min, place.chart.scales.x.max]")
    return [round(limit) for limit in scale]


def test_charts_are_made_when_they_come_near(browser, report_with_curves):
    with opened(browser, report_with_curves) as page:
        assert page.locator("canvas").count() == 0
        page.locator("#promp-fig2").scroll_into_view_if_needed()
        page.locator("#promp-fig2 canvas").first.wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_cursor_reads_the_numbers_of_every_curve(browser, report_with_curves, width):
    with charts(browser, report_with_curves, width) as (page, _, plot):
        plot.hover()
        page.mouse.wheel(0, 0)  # the frame after the last scrolling, on which the chart's place is known
        plot.hover(position={"x": plot.bounding_box()["width"] / 2 + 1, "y": 100})
        readout = plot.locator(".readout")
        expect(readout).not_to_be_empty()
        assert readout.inner_text().split("\n") == ["200 steps", "ProMP 3 [2, 4]", "LVC-VPG 1 [1, 1]"]
        assert readout.evaluate("box => box.getBoundingClientRect().right <= innerWidth")


def test_a_switch_takes_a_curve_from_all_panels_and_brings_it_back(browser, report_with_curves):
    with charts(browser, report_with_curves) as (_page, figure, plot):
        both = plot.evaluate(INK)
        button = figure.get_by_role("button", name="ProMP", exact=True)
        button.press("Space")
        assert button.get_attribute("aria-pressed") == "false" and plot.evaluate(INK) < both
        plot.hover()
        assert plot.locator(".readout").inner_text().split("\n") == ["200 steps", "LVC-VPG 1 [1, 1]"]
        assert plot.evaluate("place => place.chart.scales.y.max") < 40.0
        button.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        assert plot.evaluate("place => place.chart.scales.y.max") > 50.0


def test_axes_become_logarithmic_and_linear_again(browser, report_with_curves):
    middle = """place => [place.chart.posToVal(place.chart.over.clientWidth / 2, "x"),
                          place.chart.posToVal(place.chart.over.clientHeight / 2, "y")]"""
    with charts(browser, report_with_curves) as (_, figure, plot):
        linear = plot.evaluate(middle)
        figure.get_by_role("button", name="ProMP", exact=True).click()
        for name in ("log steps", "log return"):
            figure.get_by_role("button", name=name).press("Enter")
        steps, value = plot.evaluate(middle)
        assert steps == pytest.approx(math.sqrt(100 * 300), rel=0.02)
        assert value == pytest.approx(math.sinh((math.asinh(-3.0) + math.asinh(30.0)) / 2), abs=0.2)
        assert not plot.evaluate("place => place.chart.series[1].show")  # what was switched off stays so
        for name in ("ProMP", "log steps", "log return"):
            figure.get_by_role("button", name=name, exact=True).press("Space")
        assert plot.evaluate(middle) == pytest.approx(linear, rel=0.02)


def test_a_drag_zooms_and_buttons_zoom_further_and_back(browser, report_with_curves):
    with charts(browser, report_with_curves) as (page, figure, plot):
        assert shown(plot) == [100, 300]
        over = plot.locator(".u-over").bounding_box()
        at = [(over["x"] + part * over["width"], over["y"] + over["height"] / 2) for part in (0.2, 0.8)]
        page.mouse.move(*at[0])
        page.mouse.down()
        page.mouse.move(*at[1], steps=4)
        page.mouse.up()
        low, high = shown(plot)
        assert (low, high) == pytest.approx((140, 260), abs=4)
        figure.get_by_role("button", name="zoom out").press("Enter")
        assert shown(plot) == [100, 300]
        plot.focus()
        page.keyboard.press("ArrowRight")
        assert "100 steps" in plot.locator(".readout").inner_text()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert "300 steps" in plot.locator(".readout").inner_text()
        page.keyboard.press("Escape")
        assert plot.locator(".readout").is_hidden()
        figure.get_by_role("button", name="all").press("Enter")
        assert shown(plot) == [100, 300]


def test_the_colours_follow_the_scheme_without_a_reload(browser, report_with_curves):
    with charts(browser, report_with_curves) as (page, _, plot):
        axis = "place => place.chart.axes[0].stroke(place.chart, 0)"
        before = plot.evaluate(axis)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(
            "before => document.querySelector('div.plot').chart.axes[0].stroke() !== before", arg=before
        )


# Keyboard


def test_tab_goes_through_the_page_in_order_and_shows_where_it_is(browser, report_with_curves):
    with charts(browser, report_with_curves) as (page, figure, _):
        figure.get_by_role("button", name="ProMP", exact=True).focus()
        walked = []
        for _ in range(8):
            page.keyboard.press("Tab")
            walked.append(
                page.evaluate("document.activeElement.textContent.trim() || document.activeElement.className")
            )
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid", walked
        assert walked[:6] == ["LVC-VPG", "log steps", "log return", "+", "−", "all"]
        assert [page.evaluate("document.activeElement.getAttribute('role')")] == ["group"]


def test_the_first_stops_are_the_sections_and_the_filter(browser, report_with_curves):
    with opened(browser, report_with_curves) as page:
        walked = []
        for _ in range(8):
            page.keyboard.press("Tab")
            walked.append(page.evaluate("document.activeElement.name || document.activeElement.textContent"))
        assert walked[0] == "At a glance" and walked[4:7] == ["words", "verdict", "worth"]
        assert walked[7] == "Claim"


def test_a_title_says_what_is_lacking_in_a_line_of_its_own_and_charts_stand_beside_each_other(browser, tmp_path):
    figure = FIGURES["promp-fig2"]
    write_figure_runs(tmp_path, figure.name, "quick", {curve.label: CURVES["promp"] for curve in figure.curves})
    shutil.rmtree(runs_directory(tmp_path, "quick") / "lvc-vpg" / figure.environments[1])
    write_report(Results(tmp_path), tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as page:
        page.locator(f"#{figure.name}").scroll_into_view_if_needed()
        boxes = (
            """titles => titles.map(title => [title, title.nextElementSibling].map(e => e.getBoundingClientRect()))"""
        )
        (whole, chart), (lacking, other), *_ = page.locator(f"#{figure.name} h4").evaluate_all(boxes)
    assert lacking["height"] == pytest.approx(2 * whole["height"], rel=0.2)
    assert other["top"] == pytest.approx(chart["top"], abs=1) and other["left"] > chart["left"]
