"""What a distribution brings besides the code: the published results, see `metarl_cli.packing`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PublishedResults(BuildHookInterface[Any]):
    """Packs them; an editable installation reads those of the checkout, and a source distribution has them packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Pack into a directory that lives until the distribution is written."""
        results = Path(self.root, "results", "published")
        if version == "editable" or not results.is_dir():
            return
        sys.path.insert(0, self.root)
        from metarl_cli.packing import pack

        self.packed = TemporaryDirectory()
        pack(results, Path(self.packed.name))
        build_data["force_include"][self.packed.name] = "metarl_cli/published"
