"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from dashboards.texts import LANGUAGES

DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo/worker"),
    show_default=True,
    help="The worker's folder, with serve.duckdb.",
)
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
LANG: Final = click.option(
    "--lang", type=click.Choice(list(LANGUAGES)), default="en", show_default=True
)
