"""Templates: HTML is escaped by the environment, never by hand; Markdown, which is not HTML, stays as it is."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

__all__ = ["render"]

_ENVIRONMENT = Environment(
    loader=PackageLoader("metarl_cli.pages"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, content: Mapping[str, object]) -> str:
    """A template of the package, filled; a name that it uses and that the content lacks is an error."""
    return _ENVIRONMENT.get_template(template).render(content)
