"""The only module that opens storage. Answers are cached by snapshot: a new file, new answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import streamlit as st

from dashboards.facts import Decision, Operations, Overview, decision_of
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import Generation, ResultsReader, Snapshot

KEPT: Final = 32
"""Answers kept: some pages of some campaigns in the last snapshots."""


def generation(folder: Path) -> Generation | None:
    """Changes with every snapshot; `None` before the first."""
    return _reader(folder).generation()


def overview(folder: Path) -> Overview | None:
    """The snapshot and its campaigns; `None` before the first snapshot."""
    with _reader(folder).snapshot() as snapshot:
        return None if snapshot is None else _overview(str(folder), snapshot.generation, snapshot)


def decision(folder: Path, campaign_id: str) -> Decision | None:
    """What is known of a campaign; `None` when it is not, or not any more."""
    with _reader(folder).snapshot() as snapshot:
        if snapshot is None:
            return None
        return _decision(str(folder), snapshot.generation, campaign_id, snapshot)


def operations(folder: Path) -> Operations | None:
    """How the system is doing; `None` before the first snapshot."""
    with _reader(folder).snapshot() as snapshot:
        return None if snapshot is None else _operations(str(folder), snapshot.generation, snapshot)


def now_ms() -> int:
    """The clock of the pages: for ages and countdowns, never for results."""
    return time.time_ns() // 1_000_000


def _close(reader: ResultsReader) -> None:
    reader.close()


@st.cache_resource(max_entries=8, show_spinner=False, on_release=_close)
def _reader(folder: Path) -> ResultsReader:
    return ResultsReader(folder / SERVE_FILE)


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _overview(folder: str, generation: Generation, _snapshot: Snapshot) -> Overview | None:
    info = _snapshot.snapshot_info()
    return None if info is None else Overview(info, _snapshot.campaigns())


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _decision(
    folder: str, generation: Generation, campaign_id: str, _snapshot: Snapshot
) -> Decision | None:
    return decision_of(_snapshot, campaign_id)


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _operations(folder: str, generation: Generation, _snapshot: Snapshot) -> Operations | None:
    info = _snapshot.snapshot_info()
    if info is None:
        return None
    return Operations(
        info,
        _snapshot.connections(),
        _snapshot.activity(),
        _snapshot.lags(),
        _snapshot.deliverability(),
        _snapshot.unmatched_receipts(),
        _snapshot.dead_letters(),
        _snapshot.partitions(),
        _snapshot.gaps(),
    )
