"""Results of a few figures in which every number is known, and a page as a parser sees it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

POSTS = {
    "lvc-ppo": {1: (5.0, 9.0), 2: (5.0, 9.5)},
    "maml-ppo": {1: (1.0, 2.0), 2: (0.0, 1.0)},
    "dice-ppo": {1: (1.0, 1.5), 2: (0.0, 2.0)},
}
"""Of TMAML's Table 1."""

CURVES = {
    "promp": {1: (1.0, 2.0, 40.0), 2: (2.0, 4.0, 60.0)},
    "lvc-vpg": {1: (-1.0, 1.0, 20.0), 2: (-3.0, 1.0, 30.0)},
}
"""Of ProMP's Fig. 2."""


def exact(check):
    """Numbers of their own order of magnitude, without computing them."""
    return 2.5 if check.endswith(("reinforce-hessian", "lvc-hessian", "printed-hessian", "variance")) else 1e-16


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("br", "img", "input", "meta"):
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
