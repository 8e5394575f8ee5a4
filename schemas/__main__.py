"""Writes the contract documents: `python -m schemas` after a change of `schemas/events.py`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from schemas.documents import asyncapi, json_schema, schema_file_name
from schemas.topics import TOPICS

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write `schemas/json/*.schema.json` and `docs/asyncapi.yaml`."""
    for path, text in documents().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def documents() -> dict[Path, str]:
    """Every document's path and text."""
    folder = ROOT / "schemas" / "json"
    texts = {
        folder / schema_file_name(topic): json.dumps(json_schema(topic), indent=1) + "\n"
        for topic in TOPICS
    }
    texts[ROOT / "docs" / "asyncapi.yaml"] = yaml.safe_dump(asyncapi(), sort_keys=False)
    return texts


if __name__ == "__main__":
    main()
