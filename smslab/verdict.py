"""`smslab verdict`: what the decision page says, at the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import click
import msgspec

from dashboards.facts import Decision, decision_of
from dashboards.light_words import lights
from dashboards.rule_words import rule_sentences
from dashboards.segment_words import by_attribute, sentence
from dashboards.texts import Words
from dashboards.verdict_words import banner
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import ResultsReader, SnapshotUnreadable
from runtime.process import CannotRun, ExitCode
from smslab.as_json import defined
from smslab.options import DATA, JSON, LANG
from smslab.results import show_arms
from smslab.screen import Sentence, console, step

_MARKS: Mapping[str, str] = {"ok": "✓", "warn": "!", "bad": "✕", "pending": "…"}


@click.command()
@click.argument("campaign_id", metavar="[CAMPAIGN]", required=False)
@LANG
@DATA
@JSON
def verdict(campaign_id: str | None, lang: str, data: Path, *, as_json: bool) -> None:
    """Tell a campaign's verdict in words, with the numbers it rests on. Default: the newest.

    \b
    examples:
      smslab verdict
      smslab verdict double11-coupon --lang zh
      smslab verdict --json
    """
    with read_results(data) as reader:
        decision = _decision(reader, campaign_id, data)
        if as_json:
            click.echo(json.dumps(_as_json(decision), ensure_ascii=False, indent=2))
        else:
            tell_verdict(decision, Words(lang))


@contextmanager
def read_results(data: Path) -> Iterator[ResultsReader]:
    """The published results of a worker's folder; troubles end the command with a sentence."""
    reader = ResultsReader(data / SERVE_FILE)
    try:
        yield reader
    except (CannotRun, SnapshotUnreadable) as error:
        told = error if isinstance(error, CannotRun) else CannotRun(str(error))
        raise Sentence(told) from error
    finally:
        reader.close()


def tell_verdict(decision: Decision, words: Words) -> None:
    """Verdict, arms, segments, the frozen rule and trust lights."""
    said = banner(words, decision, time.time_ns() // 1_000_000)
    step(f"\n{decision.campaign.campaign_id}")
    console.print(said.say, style="bold", markup=False)
    step(said.why)
    for line in (f"{said.big} {said.lead}".strip(), *said.details):
        if line:
            step(line)
    if not decision.is_blocked:
        _show_results(decision, words)
    for line in rule_sentences(words, decision, UTC):
        step(line)
    for light in lights(words, decision):
        step(f"{_MARKS[light.status]} {light.title}: {light.proof}")


def _show_results(decision: Decision, words: Words) -> None:
    """What must not be read while a check has failed; `--json` has it all the same."""
    show_arms(words, decision)
    for check, _ in by_attribute(decision):
        title = words("segments.title", attribute=check.attribute)
        step(f"{title}: {sentence(words, decision, check)}")


def _decision(reader: ResultsReader, campaign_id: str | None, data: Path) -> Decision:
    with reader.snapshot() as snapshot:
        if snapshot is None:
            raise CannotRun(f"{data} has no {SERVE_FILE} yet. Start the worker, or set --data.")
        known = [row.campaign_id for row in snapshot.campaigns()]
        wanted = campaign_id or next(iter(known), "")
        found = decision_of(snapshot, wanted)
    if found is None:
        raise CannotRun(
            f"campaign {wanted!r} is not known; known: {', '.join(known) or 'none'}.",
            ExitCode.ANSWER_IS_NO,
        )
    return found


def _as_json(decision: Decision) -> dict[str, Any]:
    """Everything the verdict rests on; undefined numbers are null, as in SQL."""
    found = msgspec.to_builtins(
        {
            "campaign": decision.campaign,
            "verdict": decision.verdict,
            "health_checks": decision.checks,
            "comparisons": decision.comparisons,
            "variant_results": decision.results,
            "segments": decision.segments,
            "segment_checks": decision.segment_checks,
        }
    )
    shown: dict[str, Any] = defined(found)
    return shown
