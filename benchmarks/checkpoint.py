"""The state of people kept as a log in DuckDB, against checkpoints and a replay of Kafka.

A campaign is joined twenty thousand events at a time. Measured: what the log adds to each event,
what one checkpoint of everybody costs and weighs, how long each takes to give the people back, and
what an event costs that is joined again. From these: how often a checkpoint may be written for
the price of the log, and how long the replay of one such interval takes. CPU seconds, no Kafka;
reading Kafka again comes on top of a replay.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from benchmarks.batches import batches_of
from benchmarks.corpus import Corpus, definition
from pipeline.flush import Flush
from pipeline.join.engine import JoinEngine
from pipeline.storage.log_files import LogRows
from pipeline.storage.log_rows import event_log_rows, news_rows
from pipeline.storage.restore import replay
from pipeline.storage.state import State, open_state
from runtime.process import rest_garbage_collector
from schemas.events import SubjectEvent

PEOPLE: Final = (100_000, 500_000)
EVENTS_PER_S: Final = 5_000
"""Steady traffic, for the interval and its replay."""
_CAMPAIGN_MS: Final = 11 * 3_600_000
_FLUSH: Final = 20_000
_ROW_FACTS: Final = 100_000
_WARM_UP: Final = 2_001
"""The first table imports pandas, a second of it."""
_T = TypeVar("_T")


def _timed(work: Callable[[], _T]) -> tuple[float, _T]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def _store(state: State, table: str, rows: Callable[[], LogRows]) -> None:
    with state.transaction():
        state.put_log(table, rows())


def _chunks(people: int) -> Iterator[list[SubjectEvent]]:
    events = Corpus(people, step_ms=max(1, _CAMPAIGN_MS // people)).events()
    joined = (event for event in events if isinstance(event, SubjectEvent))
    while chunk := list(islice(joined, _FLUSH)):
        yield chunk


def _restored(state: State) -> JoinEngine:
    engine = JoinEngine(at_hand=sys.maxsize)
    replay(state, engine)
    return engine


def _checkpoint(state: State, engine: JoinEngine) -> None:
    news = engine.everything()
    round_ = 0
    while rows := list(islice(news, _ROW_FACTS)):
        _store(state, "state_log", partial(news_rows, rows, round_))
        round_ += 1
    state.connection.execute("CHECKPOINT")


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(people: int, folder: Path) -> dict[str, float]:
    """Everything for one number of people."""
    log, checkpoint = open_state(folder / "log"), open_state(folder / "checkpoint")
    engine = JoinEngine(at_hand=sys.maxsize)
    engine.define(definition(people))
    rest_garbage_collector(0)
    count, join_s, log_s, offsets = 0, 0.0, 0.0, Counter[str]()
    for chunk in _chunks(people):
        spent, _ = _timed(partial(engine.apply, chunk))
        taken, deltas = _timed(engine.take)
        flush = Flush(batches_of(chunk, offsets), deltas)
        rows = partial(event_log_rows, flush, deltas.round, waits=False)
        written, _ = _timed(partial(_store, log, "event_log", rows))
        count, join_s, log_s = count + len(chunk), join_s + spent + taken, log_s + written
    checkpoint_s, _ = _timed(lambda: _checkpoint(checkpoint, engine))
    from_log_s, again = _timed(lambda: _restored(log))
    assert (len(again), again.facts) == (len(engine), engine.facts)
    from_checkpoint_s, again = _timed(lambda: _restored(checkpoint))
    assert (len(again), again.facts) == (len(engine), engine.facts)
    # for the price of the log: checkpoint_s = log's us per event * events in the interval
    interval_events = checkpoint_s / (log_s / count)
    return {
        "people": len(engine),
        "events": count,
        "log_us_per_event": log_s / count * 1e6,
        "join_us_per_event": join_s / count * 1e6,
        "checkpoint_s": checkpoint_s,
        "checkpoint_mb": _bytes_in(folder / "checkpoint") / 1e6,
        "restored_from_log_s": from_log_s,
        "restored_from_checkpoint_s": from_checkpoint_s,
        "interval_s_for_the_price_of_the_log": interval_events / EVENTS_PER_S,
        "replay_of_that_interval_s": interval_events * join_s / count,
    }


def main() -> None:
    """One JSON object a line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpoint", description=__doc__)
    parser.add_argument("people", type=int, nargs="*", default=list(PEOPLE))
    for people in (_WARM_UP, *parser.parse_args().people):
        with TemporaryDirectory(prefix="smslab-checkpoint-") as folder:
            found = measure(people, Path(folder))
        if people != _WARM_UP:
            print(json.dumps({name: round(value, 2) for name, value in found.items()}), flush=True)


if __name__ == "__main__":
    main()
