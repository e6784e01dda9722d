"""Correlation of estimates with the truth: Fig. 1 of Tang et al. (2021) and Fig. 4 of Liu et al. (2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullLocator

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.figures.labels import colour, estimator_label
from metarl_cli.figures.plots.style import caption, mark_missing, new_figure

__all__ = ["taypo_fig1", "tmaml_fig4"]

TABULAR_ESTIMATORS = ("dice", "doubly_robust", "truncated_dr", "lvc", "taypo2")

Method = tuple[str, str]
Line = tuple[str, str, str, pd.DataFrame]
PAPER_METHODS: tuple[Method, ...] = (
    ("reinforce", "none"),
    ("lvc", "none"),
    ("dice", "none"),
    ("tmaml", "meta"),
    ("tmaml", "per_task"),
)
OTHER_METHODS: tuple[Method, ...] = (
    ("reinforce", "meta"),
    ("lvc", "meta"),
    ("tmaml", "meta"),
    ("tmaml_printed", "meta"),
    ("tmaml_printed", "per_task"),
    ("tmaml_released", "meta"),
)
CONTROL_VARIATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"none": ("-", ""), "meta": ("-", " + meta-learned b"), "per_task": ("--", " + per-task b")}
)
"""Line style and the end of the label."""

BAND = "Line: mean over seeds; band: 95 % Student t interval of the mean."


def taypo_fig1(
    frame: pd.DataFrame, *, variant: str = "released", training: Callable[[Axes], None] | None = None
) -> Figure:
    """Accuracy of gradients (a) and Hessians (b) against ε, of Hessians against sample size (c); training (d).

    Args:
        frame: as `studies.tabular.run` gives it, of one profile; several variants may be in it.
        variant: which of them is drawn.
        training: draws panel (d); without it the panel says that it has no data.
    """
    drawn = frame[frame["variant"] == variant]
    figure, panels = new_figure(1, 4, size=(3.1, 3.0))
    for panel, title, sweep, order in (
        (panels[0], "(a) gradient", "epsilon", 1),
        (panels[1], "(b) Hessian", "epsilon", 2),
        (panels[2], "(c) Hessian", "samples", 2),
    ):
        lines = drawn[(drawn["sweep"] == sweep) & (drawn["order"] == order)]
        other, given = ("samples", "N = {:g}") if sweep == "epsilon" else ("epsilon", "ε = {:g}")
        fixed = "".join(f", {given.format(value)}" for value in lines[other].unique())
        groups = ((name, lines[lines["estimator"] == name]) for name in TABULAR_ESTIMATORS)
        _panel(panel, title + fixed, ((estimator_label(n), colour(n), "-", rows) for n, rows in groups), x=sweep)
    panels[0].set_ylabel("Pearson correlation with the truth", fontsize=8)
    _same_scale(panels[:3])
    panels[3].set_title("(d) 2-D control", fontsize=9)
    (training or mark_missing)(panels[3])
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize=8, frameon=False
    )
    other_bands = " Panel (d): its own seeds, cut at what they reached; of two their range." if training else ""
    caption(figure, f"Variant: {variant}. {_profile_and_seeds(drawn)} {BAND}{other_bands}")
    return figure


def tmaml_fig4(frame: pd.DataFrame) -> Figure:
    """Correlation of meta-gradient and inner Hessian with the truth: the paper's five methods, and what explains them.

    Args:
        frame: as `studies.toy1d.run` gives it, of one profile.
    """
    estimates = frame[frame["role"] == "estimate"]
    figure, panels = new_figure(2, 2, size=(4.6, 3.0))
    for row, (kind, methods) in enumerate((("the paper's five methods", PAPER_METHODS), ("variants", OTHER_METHODS))):
        for panel, words in zip(panels[2 * row :], ("meta-gradient", "inner Hessian"), strict=False):
            lines = estimates[estimates["quantity"] == words.replace("-", "_").replace(" ", "_").lower()]
            groups = list[Line]()
            for estimator, variate in methods:
                style, ending = CONTROL_VARIATES[variate]
                rows = lines[(lines["estimator"] == estimator) & (lines["control_variate"] == variate)]
                groups.append((estimator_label(estimator) + ending, colour(estimator), style, rows))
            _panel(panel, f"{words}, {kind}", groups, x="samples")
        panels[2 * row].set_ylabel("Pearson correlation\nwith the truth", fontsize=8)
        if not estimates.empty:
            panels[2 * row + 1].legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _same_scale(panels)
    note = "Truth: integral over a grid."
    truth = frame[(frame["role"] == "truth") & (frame["quantity"] == "inner_hessian")]
    if len(truth):  # how far the Monte-Carlo truth is from the integral that is used
        error, own = truth["relative_error"].median(), truth["standard_error"].median()
        note += (
            f" The mean of {truth['samples'].iloc[0]} trajectories differs from its Hessian by {error:.1%} of the "
            f"norm, with a standard error of {own:.1%} (medians over seeds)."
        )
    caption(figure, f"{_profile_and_seeds(estimates)} {BAND}\n{note}")
    return figure


def _panel(panel: Axes, title: str, lines: Iterable[Line], *, x: str) -> None:
    """One line with its band for each (label, colour, style, rows) that has rows; x is `epsilon` or `samples`."""
    panel.set_title(title, fontsize=9)
    drawn = [line for line in lines if len(line[3])]
    for text, shade, style, rows in drawn:
        table = rows.groupby([x, "seed"])["pearson"].mean().unstack()  # several of a seed count as their mean
        band = mean_interval(table.to_numpy().T)
        panel.plot(table.index, band.mean, style, color=shade, linewidth=1.4, marker="o", markersize=2.5, label=text)
        panel.fill_between(table.index, band.low, band.high, color=shade, alpha=0.15, linewidth=0)
    if not drawn:
        mark_missing(panel)
    elif x == "samples":
        samples = sorted({int(n) for line in drawn for n in line[3]["samples"]})
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticks(samples, [EngFormatter(sep="").format_eng(n) for n in samples])
        panel.set_xlabel("trajectories N", fontsize=8)
    else:
        panel.set_xlabel("off-policyness ε", fontsize=8)


def _same_scale(panels: Iterable[Axes]) -> None:
    """One y-axis for all panels with lines: within [−1, 1], where the band of few seeds may leave it."""
    filled = [panel for panel in panels if panel.lines]
    low = min((panel.get_ylim()[0] for panel in filled), default=0.0)
    for panel in filled:
        panel.set_ylim(max(low, -1.05), 1.05)


def _profile_and_seeds(frame: pd.DataFrame) -> str:
    profiles = ", ".join(sorted(frame["profile"].unique()))
    return f"Profile: {profiles}. n = {frame['seed'].nunique()} seeds." if profiles else "No data yet."
