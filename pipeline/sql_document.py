"""Writes `docs/sql.md` from `pipeline.rows`: `python -m pipeline.sql_document`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pipeline.rows import Row
from pipeline.storage.facts import columns_of, kind_of
from pipeline.storage.serve import (
    SQL_TYPES,
    TABLES,
    Column,
    column_sentence,
    table_sentence,
)
from pipeline.storage.serve import (
    columns_of as columns_of_row,
)
from schemas.topics import JOINED_TOPICS

PATH: Final = Path(__file__).parent.parent / "docs" / "sql.md"
EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "What did each arm earn per recipient, and how sure is it?": """
SELECT campaign_id, variant_id, profit_per_recipient_minor, profit_per_recipient_lower,
    profit_per_recipient_upper
FROM variant_results WHERE maturity = 'mature' ORDER BY ALL""",
        "Is the comparison that decides significant, and how large is the effect?": """
SELECT campaign_id, treatment, control, effect_size, ci_lower, ci_upper, pvalue_adjusted, method
FROM comparisons WHERE decides AND maturity = 'mature' ORDER BY ALL""",
        "Does a text work better in some cities? Counters of cohorts may be added.": """
SELECT campaign_id, variant_id, value AS city_tier, sum(assigned) AS assigned,
    sum(converted) / sum(assigned) AS conversion_rate
FROM cohorts WHERE dimension = 'city_tier' GROUP BY ALL ORDER BY ALL""",
        "Does the effect differ between segments by more than chance?": """
SELECT campaign_id, attribute, treatment, segments, heterogeneity, pvalue_adjusted,
    pvalue_adjusted <= alpha AS is_more_than_chance
FROM segment_checks JOIN campaigns USING (campaign_id) ORDER BY ALL""",
        "Mean and variance of net revenue per recipient, exact until the last division.": """
SELECT campaign_id, variant_id, sum(revenue_minor - refunded_minor) / sum(assigned) AS mean,
    (sum(sum_rr) - sum(revenue_minor - refunded_minor) ** 2 / sum(assigned))
        / (sum(assigned) - 1) AS variance
FROM cohorts WHERE dimension = '' GROUP BY ALL HAVING sum(assigned) > 1 ORDER BY ALL""",
        "Delivery by operator account, and what failed.": """
SELECT connection, state, err, sum(receipts) AS receipts,
    sum(receipts) / sum(sum(receipts)) OVER (PARTITION BY connection) AS part
FROM deliverability GROUP BY connection, state, err ORDER BY connection, receipts DESC""",
        "How long do final receipts take? Parts up to each bound, per connection.": """
SELECT connection, up_to_ms / 1000 AS up_to_s, sum(parts) AS parts,
    sum(sum(parts)) OVER (PARTITION BY connection ORDER BY up_to_ms) AS so_far
FROM receipt_latency GROUP BY connection, up_to_ms ORDER BY ALL""",
        "What could not be used, and does the snapshot miss anything?": """
SELECT 'dead letters' AS what, topic, count(*) AS records FROM dead_letters GROUP BY ALL
UNION ALL SELECT 'missing', topic, sum(missing) FROM gaps GROUP BY ALL
UNION ALL SELECT 'waiting', topic, sum(end_offset - next_offset) FROM lags GROUP BY ALL
UNION ALL SELECT 'unmatched: ' || reason, connection, count(*) FROM unmatched_receipts GROUP BY ALL
ORDER BY ALL""",
        "When did the verdict change, and why?": """
SELECT campaign_id, make_timestamp_ms(decided_at_ms) AS decided, verdict, variant_id, reason
FROM verdicts ORDER BY decided_at_ms""",
    }
)
"""Question → query."""

_INTRODUCTION: Final = """# Results in SQL

`serve.duckdb` in the worker's folder is replaced as a whole about twice a second, when something
changed. Open it read-only with DuckDB 2 or ask with `smslab sql "…"`. Every table and column
carries its sentence in the file too (`duckdb_tables()`, `duckdb_columns()`).

This page is written by `python -m pipeline.sql_document`; a test holds it against the file.

- `…_ms` is milliseconds since 1970 (UTC): `make_timestamp_ms(x)`. `…_minor` is minor units of
  the campaign's currency, `…_micro` millionths of its major unit.
- Undefined numbers are NULL. Rates are per **assigned** recipient.
- `cohorts` holds exact integers that may be added in any way; variances come from the sums of
  squares and products (`HUGEINT`). All else is derived from it.
- Columns keep their order; `snapshot_info.schema_version` rises when one changes its meaning.
"""
_FACTS: Final = """
## Row-level facts

The folder `facts` beside the database holds every event as Parquet, by kind and UTC day, with
the subject token instead of the phone number and without texts. **Only files listed in
`fact_files` count**, and an event that was delivered twice is in them twice: take the first per
`(subject, event_id)`.

```sql
SELECT connection, count(DISTINCT (subject, event_id))
FROM read_parquet('facts/receipt_received/*/*.parquet') GROUP BY ALL;
```

`smslab reconcile --facts` counts all cohorts again from these files, in SQL alone
(`pipeline/storage/sql/recount.sql`), and compares every figure with the streamed one.

`smslab facts prune --before 2026-01-01` says which files of old days would go, with `--delete` it
deletes them (not the last of each kind, which says how far the files go). Delete none by hand:
`fact_files` would name them still. Afterwards `snapshot_info.facts_from` holds the day, and
`reconcile --facts` leaves out who was assigned before it.
"""


def document() -> str:
    """The page."""
    parts = [_INTRODUCTION, "\n## Questions\n"]
    parts += [f"\n{question}\n```sql{query};\n```\n" for question, query in EXAMPLES.items()]
    parts.append("\n## Tables\n")
    parts += [_table(row_type, name) for row_type, name in TABLES.items()]
    parts.append(_FACTS)
    for topic in JOINED_TOPICS:
        columns = ", ".join(f"`{name}` {kind}" for name, kind in columns_of(topic.event).items())
        parts.append(f"\n**{kind_of(topic)}**: {columns}.\n")
    return "".join(parts)


def _table(row_type: type[Row], name: str) -> str:
    lines = [f"\n### {name}\n{table_sentence(row_type)}\n"]
    lines.append("\n| column | type | |\n|---|---|---|\n")
    lines += [_column(row_type, column) for column in columns_of_row(row_type)]
    return "".join(lines)


def _column(row_type: type[Row], column: Column) -> str:
    sentence = column_sentence(row_type, column).replace("|", "\\|")
    return f"| `{column.name}` | {SQL_TYPES[column.kind]} | {sentence} |\n"


def main() -> None:
    """Write the page."""
    PATH.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
