"""Real snapshots for page tests: made cohorts, evaluated by the product, written by the product."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pipeline import rows
from pipeline.evaluate import campaign_rows, evaluate
from pipeline.rows import Cohort, JoinHealth, Row
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.serve import write_snapshot
from schemas.events import HOLDOUT, CampaignDefined, Plan, VariantDefinition
from tests.support.results import WINDOW_MS, cohort, definition

AGO_MS = 3_600_000
"""The cohorts of a finished campaign were assigned an hour ago."""


@dataclass(frozen=True)
class Case:
    """A campaign with its cohorts; `running_ms` ago its cohorts were assigned."""

    campaign: CampaignDefined
    cohorts: Sequence[Cohort]
    health: JoinHealth = field(default_factory=lambda: JoinHealth(campaign_id="", receipts=9_000))
    running_ms: int = AGO_MS
    gaps: Sequence[rows.Gap] = ()


def gap(missing: int, topic: str = "sms.message.receipt.v1") -> rows.Gap:
    """Records that Kafka no longer had, met when the campaign had just ended."""
    return rows.Gap(
        topic=topic,
        partition=7,
        first_offset=100,
        next_offset=100 + missing,
        missing=missing,
        seen_at_ms=AGO_MS,
    )


def arms(
    sizes: Mapping[str, int], converted: Mapping[str, int], opted_out: Mapping[str, int] = {}
) -> list[Cohort]:
    """One cohort per arm; a tenth of those who got a message click."""
    return [
        cohort(
            arm,
            size,
            converted=converted.get(arm, 0),
            opted_out=opted_out.get(arm, size // 400 if arm != HOLDOUT else 0),
            clicked=size // 10 if arm != HOLDOUT else 0,
        )
        for arm, size in sizes.items()
    ]


def by_city(made: list[Cohort], better: Mapping[str, int]) -> list[Cohort]:
    """The same arms again, cut by an attribute; B converts by city, a tenth of them `other`."""
    cities = [*better, "other", ""]
    rows = [
        msgspec.structs.replace(
            cohort(
                row.variant_id,
                row.counters.assigned // len(cities),
                converted=better.get(city, 60) if row.variant_id == "B" else 60,
            ),
            dimension="city_tier",
            value=city,
        )
        for row in made
        for city in cities
    ]
    tiny = [
        msgspec.structs.replace(row, dimension="loyalty", value=value)
        for row in (cohort("A", 300, converted=4), cohort("B", 300, converted=9))
        for value in ("gold", "plus")
    ]
    return [*made, *rows, *tiny]


def four_variants() -> CampaignDefined:
    """Four texts without a holdout, a long one among them."""
    made = tuple(
        VariantDefinition(variant_id=name, share=0.25, template=f"{text} {{{{link}}}}")
        for name, text in (
            ("A", "【云店】亲爱的{{用户名}}，您有一份优惠券"),
            ("B", "【云店】{{用户名}}，今天下单立减20元"),
            ("emoji", "🎉 {{用户名}}, 20 off today"),
            ("long-name-of-a-variant-of-32-cha", "Dear {{用户名}}, " + "come back. " * 12),
        )
    )
    plain = definition(audience_size=40_000)
    return msgspec.structs.replace(plain, variants=made, holdout=0.0)


EVEN = {"A": 9_000, "B": 9_000, HOLDOUT: 2_000}
BETTER = {"A": 360, "B": 480, HOLDOUT: 40}


def _costly(made: list[Cohort], arm: str) -> list[Cohort]:
    """The arm's text takes two segments."""
    return [
        msgspec.structs.replace(
            row,
            counters=msgspec.structs.replace(
                row.counters,
                segments=2 * row.counters.segments,
                cost_micro=2 * row.counters.cost_micro,
            ),
        )
        if row.variant_id == arm
        else row
        for row in made
    ]


CASES: Mapping[str, Callable[[], Case]] = {
    "ship": lambda: Case(definition(audience_size=20_000), arms(EVEN, BETTER)),
    "keep": lambda: Case(
        definition(audience_size=20_000), arms(EVEN, {"A": 480, "B": 300, HOLDOUT: 40})
    ),
    "collecting": lambda: Case(
        definition(audience_size=50_000, minimum_effect=20.0),
        arms(EVEN, BETTER),
        running_ms=WINDOW_MS // 2,
    ),
    "too_small": lambda: Case(
        definition(audience_size=50_000), arms(EVEN, BETTER), running_ms=WINDOW_MS // 2
    ),
    "early": lambda: Case(
        definition(audience_size=50_000, method="sequential", expected_n=50_000),
        arms(EVEN, BETTER),
    ),
    "nobody": lambda: Case(definition(audience_size=20_000), ()),
    "split": lambda: Case(
        definition(audience_size=20_000),
        arms({"A": 9_600, "B": 8_400, HOLDOUT: 2_000}, BETTER),
    ),
    "double": lambda: Case(
        definition(audience_size=20_000),
        arms(EVEN, BETTER),
        JoinHealth(campaign_id="", double_assigned=900, receipts=9_000),
    ),
    "unmatched": lambda: Case(
        definition(audience_size=20_000),
        arms(EVEN, BETTER),
        JoinHealth(campaign_id="", receipts=9_000, unmatched_receipts=2_000),
    ),
    "lost": lambda: Case(definition(audience_size=20_000), arms(EVEN, BETTER), gaps=(gap(4_000),)),
    "lost_few": lambda: Case(
        definition(audience_size=20_000),
        arms(EVEN, BETTER),
        gaps=(gap(400), gap(3, "sms.conversion.recorded.v1")),
    ),
    "late_covariate": lambda: Case(
        msgspec.structs.replace(
            definition(audience_size=20_000), plan=Plan(covariate="past_revenue")
        ),
        [
            msgspec.structs.replace(
                row,
                moments=msgspec.structs.replace(
                    row.moments,
                    sum_v=row.counters.converted * 90,
                    sum_vv=row.counters.converted * 90 * 90,
                ),
            )
            for row in arms(EVEN, {"A": 360, "B": 4_800})
        ],
    ),
    "unusable": lambda: Case(
        msgspec.structs.replace(definition(), control="<b>nobody</b>"), arms(EVEN, BETTER)
    ),
    "stop": lambda: Case(definition(audience_size=20_000), arms(EVEN, BETTER, {"A": 20, "B": 400})),
    "risky": lambda: Case(
        definition(audience_size=20_000, opt_out_margin=0.002),
        arms(EVEN, BETTER, {"A": 20, "B": 34}),
    ),
    "equal": lambda: Case(
        definition(audience_size=20_000, minimum_effect=40.0),
        arms(EVEN, {"A": 360, "B": 362, HOLDOUT: 40}),
    ),
    "small": lambda: Case(
        definition(audience_size=20_000, minimum_effect=80.0),
        arms(EVEN, {"A": 360, "B": 480, HOLDOUT: 40}),
    ),
    "open": lambda: Case(
        definition(audience_size=20_000), arms(EVEN, {"A": 360, "B": 380, HOLDOUT: 40})
    ),
    "undefined": lambda: Case(
        definition(audience_size=3), arms({"A": 1, "B": 1, HOLDOUT: 1}, {"A": 1})
    ),
    "few": lambda: Case(
        definition(audience_size=20_000), arms(EVEN, {"A": 9, "B": 16, HOLDOUT: 1})
    ),
    "single": lambda: Case(
        msgspec.structs.replace(
            definition(audience_size=11_000),
            variants=(VariantDefinition(variant_id="A", share=1.0, template="你好 {{link}}"),),
            holdout=2 / 11,
        ),
        arms({"A": 9_000, HOLDOUT: 2_000}, {"A": 360, HOLDOUT: 40}),
    ),
    "no_holdout": lambda: Case(
        msgspec.structs.replace(definition(audience_size=18_000), holdout=0.0),
        _costly(arms({"A": 9_000, "B": 9_000}, BETTER), "B"),
    ),
    "segments": lambda: Case(
        msgspec.structs.replace(
            definition(audience_size=20_000),
            plan_version=2,
            plan=Plan(cap_minor=1_000_000, covariate="past_revenue"),
        ),
        by_city(
            arms(EVEN, BETTER), {"tier-1": 61, "tier-2": 120, "三线及以下": 66, "<b>x</b>": 62}
        ),
    ),
    "alike": lambda: Case(
        definition(audience_size=20_000),
        by_city(arms(EVEN, BETTER), {"tier-1": 80, "tier-2": 79, "tier-3": 83}),
    ),
    "four": lambda: Case(
        four_variants(),
        _costly(
            arms(
                dict.fromkeys([v.variant_id for v in four_variants().variants], 10_000),
                {"A": 400, "B": 560, "emoji": 430, "long-name-of-a-variant-of-32-cha": 330},
            ),
            "emoji",
        ),
    ),
}
"""Name → a campaign in that state, as evaluated by the product."""


def write_cases(
    folder: Path,
    *names: str,
    number: int = 1,
    in_memory: bool = False,
    rename: Mapping[str, str] | None = None,
) -> None:
    """Write `serve.duckdb` with these cases, newest first; a campaign is called as its case."""
    now_ms = time.time_ns() // 1_000_000
    found: dict[type[Row], list[Row]] = {}
    for age, name in enumerate(names):
        add_case(found, CASES[name](), (rename or {}).get(name, name), now_ms, age)
    found |= operations_rows(now_ms)
    found[rows.SnapshotInfo] = [
        rows.SnapshotInfo(
            snapshot=number,
            snapshot_at_ms=now_ms,
            events_applied=412_345,
            duplicates_ignored=17,
            is_broker_in_memory=in_memory,
            kafka_cluster_id="test",
            schema_version=1,
        )
    ]
    write_snapshot(folder / SERVE_FILE, found)


def add_case(
    found: dict[type[Row], list[Row]], case: Case, name: str, now_ms: int, age: int
) -> None:
    """Evaluate a case under another name and add its rows."""
    start_ms = now_ms - case.running_ms
    defined_ms = now_ms - 2 * AGO_MS - age
    replace = msgspec.structs.replace
    campaign, variants = campaign_rows(
        replace(case.campaign, campaign_id=name, occurred_at_ms=defined_ms)
    )
    cohorts = [replace(row, campaign_id=name, cohort_start_ms=start_ms) for row in case.cohorts]
    health = replace(case.health, campaign_id=name)
    gaps = [replace(each, seen_at_ms=now_ms) for each in case.gaps]
    evaluation = evaluate(campaign, variants, cohorts, health, now_ms, gaps=gaps)
    groups: tuple[tuple[type[Row], Sequence[Row]], ...] = (
        (rows.Campaign, [campaign]),
        (rows.Variant, variants),
        (rows.Cohort, cohorts),
        (rows.VariantResult, evaluation.variant_results),
        (rows.Comparison, evaluation.comparisons),
        (rows.Segment, evaluation.by_segment.segments),
        (rows.SegmentCheck, evaluation.by_segment.checks),
        (rows.HealthCheck, evaluation.health_checks),
        (rows.Verdict, [evaluation.verdict]),
        (rows.Gap, gaps),
    )
    for row_type, made in groups:
        found.setdefault(row_type, []).extend(made)


def connection(name: str, now_ms: int, **changes: object) -> rows.ConnectionState:
    """A healthy connection."""
    healthy = rows.ConnectionState(
        connection=name,
        instance="bridge-1",
        reported_at_ms=now_ms,
        state="BOUND_TRX",
        binds=2,
        bound=2,
        window=50,
        window_in_use=31,
        submits=182_340,
        accepted=182_101,
        rejected=239,
        receipts=175_020,
        inbound=1_204,
        unknown=0,
        reconnects=0,
        last_error=None,
    )
    return msgspec.structs.replace(healthy, **changes)


def operations_rows(now_ms: int) -> dict[type[Row], list[Row]]:
    """What the operations page shows: one healthy connection, one in trouble."""
    bucket = now_ms // 10_000 * 10_000
    topics = {
        "sms.recipient.assigned.v1": 900,
        "sms.message.submitted.v1": 800,
        "sms.message.receipt.v1": 760,
        "sms.inbound.received.v1": 12,
        "sms.link.clicked.v1": 70,
        "sms.conversion.recorded.v1": 9,
    }
    return {
        rows.ConnectionState: [
            connection("cmcc-1", now_ms),
            connection(
                "unicom-2",
                now_ms,
                state="OPEN",
                bound=1,
                unknown=3,
                reconnects=4,
                last_error="bind_transceiver refused: ESME_RINVPASWD (0x0000000E)",
            ),
        ],
        rows.Activity: [
            rows.Activity(
                bucket_start_ms=bucket - i * 10_000,
                topic=topic,
                events=size * (40 + (i * 7) % 21) // 50,
            )
            for topic, size in topics.items()
            for i in range(1, 60)
        ],
        rows.Lag: [
            rows.Lag(topic=topic, partition=p, next_offset=100, end_offset=100 + p * (i == 1))
            for i, topic in enumerate(topics)
            for p in range(12)
        ],
        rows.Deliverability: [
            rows.Deliverability(
                connection=name, hour_start_ms=0, state=state, err=err, receipts=receipts
            )
            for name, state, err, receipts in (
                ("cmcc-1", "DELIVRD", "000", 168_220),
                ("cmcc-1", "UNDELIV", "001", 4_120),
                ("cmcc-1", "EXPIRED", "060", 1_980),
                ("unicom-2", "DELIVRD", "000", 20_110),
                ("unicom-2", "REJECTD", "MK:0012", 310),
            )
        ],
        rows.UnmatchedReceipt: [
            rows.UnmatchedReceipt(
                connection="unicom-2",
                smsc_message_id=str(i),
                subject="k1.x",
                state="DELIVRD",
                received_at_ms=now_ms,
                reason="no submit with this id",
            )
            for i in range(7)
        ],
        rows.DeadLetter: [
            rows.DeadLetter(
                topic="sms.conversion.recorded.v1",
                partition=3,
                record_offset=i,
                reason="value_minor == 99999999999999999999, must fit 64 bits.",
                seen_at_ms=now_ms,
            )
            for i in range(3)
        ],
    }
