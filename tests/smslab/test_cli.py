"""The `smslab` command without a stack: help, campaigns, SQL, and mistakes as sentences."""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from pipeline.rows import Cohort, Counters
from pipeline.storage.serve import write_snapshot
from pipeline.storage.state import open_state
from simulator.people import write_audience
from smslab.cli import main
from smslab.demo.world import EXAMPLE
from smslab.screen import Seldom
from tests.support.snapshots import write_cases

KEY = {"SMS_KAFKA": "127.0.0.1:1", "SMS_SUBJECT_KEY": "00" * 32}


def run(*arguments: str, **environment: str) -> Result:
    """One call, without the settings of this shell."""
    unset = dict.fromkeys(("SMS_KAFKA", "SMS_SUBJECT_KEY"))
    return CliRunner(env=unset | environment).invoke(main, arguments)


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """The example with an audience of 50 good and 3 bad rows."""
    shutil.copy(EXAMPLE / "campaign.yaml", tmp_path)
    write_audience(tmp_path / "audience.csv", 50, seed=1, bad_rows=3)
    return tmp_path / "campaign.yaml"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command of a group."""
    found = [path]
    for name, command in group.commands.items():
        inner = (*path, name)
        found += commands(command, inner) if isinstance(command, click.Group) else [inner]
    return found


@pytest.mark.parametrize("path", commands(main), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    """Help needs no settings, and tells more than the name."""
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5


@pytest.mark.parametrize("name", ["bridge", "worker", "tracking", "dashboard", "simulate"])
def test_the_help_of_a_process_names_its_settings(name: str) -> None:
    """Nobody has to look into the code for a variable."""
    assert "SMS_" in run(name, "--help").output


def test_the_example_is_valid() -> None:
    """The file that we tell people to copy."""
    assert run("campaign", "validate", str(EXAMPLE / "campaign.yaml")).exit_code == 0


def test_a_broken_campaign_tells_every_problem_at_once(campaign: Path) -> None:
    """Each with its path and rule, exit code 1, no traceback."""
    text = campaign.read_text("utf-8")
    campaign.write_text(text.replace("holdout: 0.10", "holdout: 7").replace("goal:", "gaol:"))
    result = run("campaign", "validate", str(campaign))
    assert result.exit_code == 1
    assert "holdout: 7 must be a number from 0 to 0.9" in result.output
    assert "gaol: is not a known key; did you mean goal?" in result.output


def test_preview_shows_texts_cost_and_rejected_rows(campaign: Path) -> None:
    """Without Kafka and without the key."""
    result = run("campaign", "preview", str(campaign))
    assert result.exit_code == 0, result.output
    assert "亲爱的<用户名>" in result.output
    assert "ucs2" in result.output
    assert "50 recipients" in result.output
    assert "3 rows cannot be used" in result.output
    rejected = campaign.with_name("audience.rejected.csv").read_text("utf-8")
    assert len(rejected.splitlines()) == 4


def test_a_dry_run_publishes_nothing(campaign: Path) -> None:
    """It works although no broker is there."""
    result = run("campaign", "apply", str(campaign), "--dry-run", **KEY)
    assert result.exit_code == 0, result.output
    assert "nothing was published" in result.output


@pytest.mark.kafka
def test_a_broker_that_is_not_there_is_a_sentence(campaign: Path) -> None:
    """It names the address and the setting; exit code 3."""
    result = run("campaign", "apply", str(campaign), **KEY)
    assert result.exit_code == 3
    assert "Kafka is not reachable at 127.0.0.1:1" in result.output
    assert "SMS_KAFKA" in result.output


def test_a_missing_setting_is_named(campaign: Path) -> None:
    """Exit code 2."""
    result = run("campaign", "apply", str(campaign))
    assert result.exit_code == 2
    assert "SMS_KAFKA is not set" in result.output


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    """Campaign file and audience alike."""
    result = run("campaign", "validate", str(tmp_path / "none.yaml"))
    assert (result.exit_code, "No such file" in result.output) == (2, True)
    shutil.copy(EXAMPLE / "campaign.yaml", tmp_path)
    result = run("campaign", "preview", str(tmp_path / "campaign.yaml"))
    assert (result.exit_code, "audience.file" in result.output) == (2, True)


def test_sql_answers_from_the_snapshot(tmp_path: Path) -> None:
    """As JSON on stdout; a wrong query or a missing file is a sentence."""
    missing = run("sql", "--data", str(tmp_path))
    assert (missing.exit_code, "no serve.duckdb yet" in missing.output) == (2, True)
    write_snapshot(tmp_path / "serve.duckdb", {})
    good = run("sql", "SELECT 1 AS one", "--json", "--data", str(tmp_path))
    assert json.loads(good.output) == [{"one": 1}]
    wrong = run("sql", "SELEC", "--data", str(tmp_path))
    assert (wrong.exit_code, "Traceback" in wrong.output) == (2, False)


def test_facts_are_held_against_the_counts(tmp_path: Path) -> None:
    """The same, different, nothing there: exit codes 0, 1, 2, and JSON with every difference."""
    missing = run("reconcile", "--facts", "--data", str(tmp_path))
    assert (missing.exit_code, "no serve.duckdb yet" in missing.output) == (2, True)
    write_snapshot(tmp_path / "serve.duckdb", {})
    same = run("reconcile", "--facts", "--json", "--data", str(tmp_path))
    assert (same.exit_code, json.loads(same.output)["agrees"]) == (0, True)
    counted = Cohort(
        campaign_id="c",
        variant_id="A",
        cohort_start_ms=0,
        cohort_width_ms=1000,
        counters=Counters(assigned=3),
    )
    write_snapshot(tmp_path / "serve.duckdb", {Cohort: [counted]})
    other = run("reconcile", "--facts", "--json", "--data", str(tmp_path))
    assert other.exit_code == 1
    (difference,) = json.loads(other.output)["differences"]
    assert (difference["column"], difference["streamed"], difference["recounted"]) == (
        "assigned",
        3,
        0,
    )
    assert run("reconcile").exit_code == run("reconcile", "x", "--facts").exit_code == 2


def test_old_facts_go_only_when_it_is_meant(tmp_path: Path) -> None:
    """First what would go, then the deletion; no worker's folder and no past day are refused."""
    nothing = run("facts", "prune", "--before", "2026-01-01", "--data", str(tmp_path))
    assert (nothing.exit_code, "no state of a worker" in nothing.output) == (2, True)
    with closing(open_state(tmp_path)) as state:
        for place, day in enumerate(("2025-12-31", "2026-01-01")):
            file = f"link_clicked/day={day}/{place}.parquet"
            (tmp_path / "facts" / file).parent.mkdir(parents=True)
            (tmp_path / "facts" / file).write_bytes(b"12")
            row = [file, "sms.link.clicked.v1", day, 1, place, place + 1, 5, None]
            state.connection.execute("INSERT INTO fact_files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    called = ("facts", "prune", "--before", "2026-01-01", "--data", str(tmp_path))
    assert "1 files of 1 days before 2026-01-01, 0.0 MB, would go." in run(*called).output
    assert len(list(tmp_path.rglob("*.parquet"))) == 2
    done = json.loads(run(*called, "--delete", "--json").stdout)
    assert done == {"files": 1, "octets": 2, "days": 1, "before": "2026-01-01", "deleted": True}
    assert [path.name for path in tmp_path.rglob("*.parquet")] == ["1.parquet"]
    future = run("facts", "prune", "--before", "9999-01-01", "--data", str(tmp_path))
    assert (future.exit_code, "must not be in the future" in future.output) == (2, True)


def test_the_worker_takes_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """`smslab worker --rebuild` is `python -m pipeline --rebuild`; others take no flag."""
    started: list[list[str]] = []
    monkeypatch.setattr("smslab.processes.os.execv", lambda _, command: started.append(command[1:]))
    assert run("worker", "--rebuild").exit_code == 0
    assert run("worker").exit_code == 0
    assert started == [["-m", "pipeline", "--rebuild"], ["-m", "pipeline"]]
    assert run("bridge", "--rebuild").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("demo", "--json"), "--json needs --exit"),
        (("demo", "--messages", "1"), "is not in the range"),
        (("demo", "--kafka", "nonsense"), "must be auto, apache, memory or HOST:PORT"),
        (("demo", "--kafka", "127.0.0.1:1"), "Kafka is not reachable at 127.0.0.1:1"),
    ],
)
def test_a_demo_that_cannot_run_says_why(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """One sentence, an exit code that is not 0, and nothing was started."""
    result = run(*arguments, "--data", str(tmp_path / "demo"))
    assert result.exit_code in {2, 3}
    assert sentence in result.output


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A worker's folder in which B has won."""
    write_cases(tmp_path, "ship")
    return tmp_path


@pytest.mark.parametrize(("lang", "sentence"), [("en", "Ship B"), ("zh", "采用 B")])
def test_the_verdict_is_told_in_words(results: Path, lang: str, sentence: str) -> None:
    """The same sentence as on the page, the arms, and every trust light; one language only."""
    result = run("verdict", "--lang", lang, "--data", str(results))
    assert result.exit_code == 0, result.output
    assert sentence in result.output
    assert ("holdout" in result.output) == (lang == "en")
    assert ("Delivered" in result.output) == (lang == "en")
    assert result.output.count("✓") >= 4


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_results_that_must_not_be_believed_are_not_shown(tmp_path: Path, lang: str) -> None:
    """The sentence says that they are folded away, and so they are; JSON has them."""
    write_cases(tmp_path, "split")
    told = run("verdict", "--lang", lang, "--data", str(tmp_path)).output
    assert " – ¥" not in told
    assert "9,600" not in told
    assert "9600" in run("verdict", "--json", "--data", str(tmp_path)).stdout


def test_no_number_is_hidden_by_a_long_name(tmp_path: Path) -> None:
    """Four texts, one with a name of 32 letters: the likely range is still there."""
    write_cases(tmp_path, "four")
    told = run("verdict", "--data", str(tmp_path)).output
    assert "Likely" in told
    assert told.count(" – ¥") == 4


def test_the_verdict_as_json_rests_on_numbers(results: Path) -> None:
    """Everything that a program needs, undefined numbers as null."""
    result = run("verdict", "--json", "--data", str(results))
    found = json.loads(result.stdout)
    assert found["verdict"]["verdict"] == "ship"
    assert {row["variant_id"] for row in found["variant_results"]} >= {"A", "B", "holdout"}
    assert "NaN" not in result.stdout


def test_an_unknown_campaign_is_told_which_ones_there_are(results: Path) -> None:
    """Exit code 1: the question was right, the answer is no."""
    result = run("verdict", "nope", "--data", str(results))
    assert (result.exit_code, "is not known; known: " in result.output) == (1, True)


def test_the_doctor_tells_what_is_missing(results: Path) -> None:
    """One line per question; what was not set is no fault, a wrong key is."""
    good = run("doctor", "--data", str(results))
    assert good.exit_code == 0, good.output
    assert "snapshot 1" in good.output
    assert "SMS_KAFKA is not set" in good.output
    bad = run("doctor", "--data", str(results), SMS_SUBJECT_KEY="short", SMS_KAFKA="127.0.0.1:1")
    assert bad.exit_code == 1
    assert bad.output.count("✕") == 2


@pytest.mark.kafka
def test_the_doctor_looks_into_kafka(kafka: str, tmp_path: Path) -> None:
    """A broker with our topics is fine."""
    result = run("doctor", "--data", str(tmp_path), SMS_KAFKA=kafka)
    assert result.exit_code == 0, result.output
    assert f"Kafka at {kafka} has all topics" in result.output


def test_the_plan_tells_what_a_list_can_answer(campaign: Path) -> None:
    """Recipients for the effect that matters, the effect for the recipients there are, days."""
    result = run(
        "plan", str(campaign), "--deviation", "450", "--recipients", "2000", "--per-day", "1000"
    )
    assert result.exit_code == 0, result.output
    for part in ("recipients are needed to find ¥0.20", "can show differences", "days"):
        assert part in result.output
    assert "cannot answer" in result.output
    found = json.loads(run("plan", str(campaign), "--deviation", "450", "--json").stdout)
    # (1.96 + 0.8416)^2 * 450^2 * 2 / 20^2 = 7948 controls, 45 % of everybody
    assert found["needed"] == pytest.approx(7948 / 0.45, rel=0.001)
    assert found["detectable_effect"] is None


def test_the_plan_speaks_chinese(campaign: Path) -> None:
    """The same numbers, no English sentence."""
    told = run(
        "plan", str(campaign), "--deviation", "450", "--recipients", "2000", "--lang", "zh"
    ).output
    for part in ("需要 17,660 名收件人", "¥0.200", "2,000 名收件人能看出", "无法回答"):
        assert part in told
    assert "recipients" not in told


def test_a_plan_that_may_be_read_at_any_time_needs_more(campaign: Path) -> None:
    """The factor of the sequence at its planned size, 1.91 for 5 % and 80 %."""
    fixed = json.loads(run("plan", str(campaign), "--deviation", "450", "--json").stdout)
    text = campaign.read_text("utf-8")
    campaign.write_text(text.replace("method: fixed", "method: sequential"), "utf-8")
    sequential = json.loads(run("plan", str(campaign), "--deviation", "450", "--json").stdout)
    assert sequential["needed"] / fixed["needed"] == pytest.approx(1.91, abs=0.01)


def test_a_plan_without_what_it_needs_says_so(campaign: Path) -> None:
    """A rate needs its base, money its spread."""
    result = run("plan", str(campaign))
    assert (result.exit_code, "--deviation" in result.output) == (2, True)
    text = campaign.read_text("utf-8")
    campaign.write_text(text.replace("profit_per_recipient", "conversion_rate"), "utf-8")
    result = run("plan", str(campaign))
    assert (result.exit_code, "--base" in result.output) == (2, True)


def test_a_library_that_repeats_itself_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A broker that is away: aiokafka says so ten times a second."""
    handler = Seldom()
    for at_s in (0.0, 1.0, 29.0, 31.0):
        record = logging.makeLogRecord(
            {"msg": "no node at %s", "args": ("8613812345678",), "created": at_s, "levelno": 40}
        )
        handler.handle(record)
    assert capsys.readouterr().err.splitlines() == ["no node at [number]"] * 2
