"use strict";

/* Claims: sorted by a heading, filtered by words and choices. */

function sortClaims(table, heading) {
  const headings = [...table.tHead.rows[0].cells], column = headings.indexOf(heading);
  const descending = heading.getAttribute("aria-sort") === "ascending";
  const key = row => Number(row.cells[column].dataset.sort);
  const order = (a, b) => isNaN(key(a)) - isNaN(key(b)) || (descending ? key(b) - key(a) : key(a) - key(b)) || 0;
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

function filterClaims(form, rows) {
  const { words, verdict, worth } = form.elements;
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) {
    const card = document.getElementById(row.querySelector("a").hash.slice(1));
    const text = (row.textContent + card.querySelector(".source").textContent).toLowerCase();
    row.hidden = !wanted.every(word => text.includes(word))
      || (verdict.value && row.dataset.verdict !== verdict.value)
      || (worth.value && row.dataset.worth !== worth.value);
  }
  form.querySelector("output").value = `${rows.filter(row => !row.hidden).length} of ${rows.length}`;
}

function makeGlance(table, form) {
  for (const heading of [...table.tHead.rows[0].cells].slice(0, -1)) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortClaims(table, heading));
    heading.append(button);
  }
  const rows = [...table.tBodies[0].rows];
  form.addEventListener("input", () => filterClaims(form, rows));
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  filterClaims(form, rows); // a browser may have kept what was typed before a reload
}

/* Curves: a uPlot chart for each panel, made when it comes near the window. */

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const minus = text => text.replace("-", "−");
const digits = value => minus(value.toLocaleString("en", { maximumSignificantDigits: 4 }));
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const visibleColour = colour => (colour === "#000000" ? style("--text") : colour); // black is the text's colour
const tight = (chart, min, max) => [min, max]; // uPlot's own goes on to the next powers of ten
const HEIGHT = 240, LOGARITHMIC = 3, ARCSINH = 4; // uPlot's numbers of distributions

/* Round numbers for a logarithmic axis: as many per decade as there is room for, evenly spaced within one. */
function roundNumbers(min, max) {
  const decades = [...Array(13).keys()].map(power => 10 ** power);
  for (const parts of [[1, 2, 5], [1, 3], [1]]) {
    const positive = decades.flatMap(decade => parts.map(part => part * decade));
    const inside = [...positive.map(value => -value).reverse(), 0, ...positive].filter(value => min <= value && value <= max);
    if (inside.length > 2 && inside.length < 8) return inside;
  }
  const least = (max - min) / 5, decade = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map(part => part * decade).find(candidate => candidate >= least);
  return [...Array(6).keys()].map(at => (Math.ceil(min / step) + at) * step).filter(value => value <= max);
}

const ROUND = { splits: (chart, axis, min, max) => roundNumbers(min, max), filter: (chart, splits) => splits };

function ticks(unit) {
  const line = { stroke: style("--line"), width: 1 };
  const values = (chart, splits) => splits.map(split => (split === null ? "" : minus(compact.format(split))));
  return { stroke: style("--quiet"), grid: line, ticks: line, font: "12px system-ui, sans-serif", values, ...unit };
}

/* Each line is three series, mean, high and low, of which the latter two only bound its band. */
function options(figure, panel, width) {
  const series = [{}], bands = [];
  for (const line of panel.lines) {
    const { label, colour } = figure.names.find(curve => curve.name === line.name);
    const stroke = visibleColour(colour), show = !figure.off.has(line.name), bound = { show, points: { show: false } };
    series.push({ label, stroke, show, width: 1.6, spanGaps: true, points: { show: false } });
    series.push({ ...bound, spanGaps: true }, { ...bound, spanGaps: true });
    bands.push({ series: [series.length - 2, series.length - 1], fill: `${stroke}26` });
  }
  return {
    width, height: HEIGHT, series, bands,
    legend: { show: false },
    cursor: { drag: { x: true, y: true, uni: 40 }, points: { show: (chart, at) => at % 3 === 1 && chart.cursor.points.show } },
    scales: {
      x: { time: false, ...(figure.log.steps && { distr: LOGARITHMIC, range: tight }) },
      y: figure.log.return ? { distr: ARCSINH, range: tight } : {},
    },
    axes: [ticks({ size: 34, ...(figure.log.steps && ROUND) }), ticks({ size: 52, ...(figure.log.return && ROUND) })],
    hooks: { setCursor: [chart => readOut(chart, panel, figure)] },
  };
}

/* The numbers at the cursor, in a box beside it, or below the panel where that is too narrow. */
function readOut(chart, panel, figure) {
  const { idx, left } = chart.cursor, box = chart.box;
  box.hidden = idx === null || idx === undefined || left < 0;
  if (box.hidden) return;
  const shown = panel.lines.filter(line => !figure.off.has(line.name) && line.mean[idx] !== null);
  const rows = shown.sort((a, b) => b.mean[idx] - a.mean[idx]).map(line => {
    const { label, colour } = figure.names.find(curve => curve.name === line.name), row = document.createElement("div");
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = visibleColour(colour);
    const band = line.low[idx] === null ? "" : ` [${digits(line.low[idx])}, ${digits(line.high[idx])}]`;
    row.append(swatch, `${label} ${digits(line.mean[idx])}${band}`);
    return row;
  });
  box.replaceChildren(`${compact.format(panel.steps[idx])} steps`, ...rows);
  const width = chart.over.clientWidth, below = box.offsetWidth + 12 > width / 2;
  const beside = left > width / 2 ? left - box.offsetWidth - 12 : left + 12;
  box.style.left = below ? "-2.5rem" : `${beside}px`;
  box.style.top = below ? "100%" : "";
}

function draw(figure, panel, place) {
  place.chart?.destroy();
  const columns = panel.lines.flatMap(line => [line.mean, line.high, line.low]);
  const box = document.createElement("div");
  box.className = "readout";
  box.hidden = true;
  box.setAttribute("aria-live", "polite");
  const settings = options(figure, panel, place.clientWidth);
  settings.hooks.init = [chart => { chart.box = box; chart.over.append(box); }];
  place.chart = new uPlot(settings, [panel.steps, ...columns], place);
  place.dataset.drawn = "";
}

/* The part of the steps that is shown becomes from `low` to `high` of its width, in the axis' own measure. */
function zoom(chart, low, high) {
  const width = chart.over.clientWidth, steps = chart.data[0];
  const min = Math.max(chart.posToVal(low * width, "x"), steps[0]);
  const max = Math.min(chart.posToVal(high * width, "x"), steps[steps.length - 1]);
  if (steps.filter(step => min <= step && step <= max).length > 1) chart.setScale("x", { min, max });
}

const ZOOMS = {
  in: chart => zoom(chart, 0.25, 0.75),
  out: chart => zoom(chart, -0.5, 1.5),
  all: chart => chart.setData(chart.data),
};

function step(chart, by) {
  const { min, max } = chart.scales.x, steps = chart.data[0];
  const inside = [...steps.keys()].filter(at => min <= steps[at] && steps[at] <= max);
  const now = inside.indexOf(chart.cursor.idx), next = now < 0 ? (by > 0 ? 0 : inside.length - 1) : now + by;
  const at = inside[Math.min(Math.max(next, 0), inside.length - 1)];
  chart.setCursor({ left: chart.valToPos(steps[at], "x"), top: chart.over.clientHeight / 2 });
}

const KEYS = {
  ArrowLeft: chart => step(chart, -1),
  ArrowRight: chart => step(chart, 1),
  "+": ZOOMS.in,
  "=": ZOOMS.in,
  "-": ZOOMS.out,
  0: ZOOMS.all,
  Escape: chart => chart.setCursor({ left: -10, top: -10 }),
};

function makeCurves(root) {
  const content = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const figure = { names: content.names, off: new Set(), log: { steps: false, return: false } };
  const places = [...root.querySelectorAll("div.plot")], filled = content.panels.filter(panel => panel.lines.length);
  const panelOf = place => filled[places.indexOf(place)];
  const drawn = () => places.filter(place => place.chart);
  const redraw = () => drawn().forEach(place => draw(figure, panelOf(place), place));

  const near = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(({ target }) => {
    near.unobserve(target);
    draw(figure, panelOf(target), target);
  }), { rootMargin: "400px" });
  const resized = new ResizeObserver(entries => entries.filter(({ target }) => target.chart).forEach(({ target }) =>
    target.chart.setSize({ width: target.clientWidth, height: HEIGHT })));
  for (const place of places) {
    near.observe(place);
    resized.observe(place);
    place.addEventListener("keydown", event => {
      if (!place.chart || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
      event.preventDefault();
      KEYS[event.key](place.chart);
    });
    place.addEventListener("blur", () => place.chart && KEYS.Escape(place.chart));
  }

  function switchCurve(name, shown) {
    if (shown) figure.off.delete(name); else figure.off.add(name);
    for (const place of drawn()) {
      const at = 1 + 3 * panelOf(place).lines.findIndex(line => line.name === name);
      if (at > 0) place.chart.batch(() => [0, 1, 2].forEach(more => place.chart.setSeries(at + more, { show: shown })));
    }
  }
  function colourSwatches() {
    for (const swatch of root.querySelectorAll("[data-colour]")) {
      swatch.style.background = visibleColour(swatch.dataset.colour);
    }
  }
  root.querySelector(".controls").addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const { curve, scale, zoom: how } = button.dataset;
    if (how) return drawn().forEach(place => ZOOMS[how](place.chart));
    const pressed = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", pressed);
    if (curve) return switchCurve(curve, pressed);
    figure.log[scale] = pressed;
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colourSwatches(); redraw(); });
  colourSwatches();
  root.querySelector(".controls").hidden = false;
}

/* A link to something folded unfolds it. */
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

makeGlance(document.querySelector("table.glance"), document.querySelector("#glance form"));
document.querySelectorAll(".curves").forEach(makeCurves);
addEventListener("hashchange", unfold);
unfold();
