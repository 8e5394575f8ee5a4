"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo/worker"),
    show_default=True,
    help="The worker's folder, with serve.duckdb.",
)
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
