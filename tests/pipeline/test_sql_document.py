"""What the page promises about `serve.duckdb` is what an analyst finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.sql_document import EXAMPLES, PATH, document
from pipeline.storage.reader import ResultsReader
from pipeline.storage.serve import TABLES, column_sentence, columns_of
from tests.support.snapshots import write_cases

FEWEST_WORDS = 2
LINE = r"^\| `(\w+)` \| (\w+) \| (.*) \|$"


def test_the_page_is_current() -> None:
    """After a change of a row, `python -m pipeline.sql_document` renews it."""
    assert PATH.read_text(encoding="utf-8") == document()


def test_the_documented_schema_is_the_real_one(tmp_path: Path) -> None:
    """Tables, columns, their order, their types and their sentences, as DuckDB reports them."""
    write_cases(tmp_path, "ship")
    query = """SELECT table_name, column_name, data_type, comment FROM duckdb_columns()
        WHERE NOT internal ORDER BY table_name, column_index"""
    _, real = ResultsReader(tmp_path / "serve.duckdb").query(query)
    documented = [
        (table, name, kind, sentence.replace("\\|", "|"))
        for table, body in re.findall(r"### (\w+)\n(.*?)(?=\n#|\Z)", document(), re.DOTALL)
        for name, kind, sentence in re.findall(
            r"^\| `(\w+)` \| (\w+) \| (.*) \|$", body, re.MULTILINE
        )
    ]
    assert sorted(documented, key=lambda row: row[0]) == real


def test_every_sentence_says_more_than_the_name() -> None:
    """A column's sentence has words that its name has not, and ends like a sentence."""
    for row_type in TABLES:
        for column in columns_of(row_type):
            sentence = column_sentence(row_type, column)
            words = set(re.findall(r"[a-zA-Z]+", sentence.lower())) - set(column.name.split("_"))
            assert len(words) >= FEWEST_WORDS or "Σ" in sentence, (row_type, column.name)
            assert sentence.endswith("."), (row_type, column.name)


@pytest.mark.parametrize("question", list(EXAMPLES))
def test_every_example_runs(question: str, tmp_path: Path) -> None:
    """On a snapshot with a campaign; the columns are there."""
    write_cases(tmp_path, "ship", "four")
    names, _ = ResultsReader(tmp_path / "serve.duckdb").query(EXAMPLES[question])
    assert len(names) > 1
