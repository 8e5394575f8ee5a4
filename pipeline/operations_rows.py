"""Rows of `serve.duckdb` about the machinery; `pipeline.rows` holds those about campaigns."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all rows share."""


class JoinHealth(Row, frozen=True, kw_only=True, gc=False):
    """What the join knows about data faults. `campaign_id` "" is the whole system."""

    campaign_id: str
    """Campaign of the assignments; empty for receipts, which are counted together."""
    double_assigned: int = 0
    """Recipients assigned to two arms of this campaign."""
    receipts: int = 0
    """Distinct receipts seen."""
    unmatched_receipts: int = 0
    """Of these, receipts that belong to no known message so far."""


class ConnectionState(Row, frozen=True, kw_only=True, gc=False):
    """The last report of an SMPP connection."""

    connection: str
    """Named route to one operator account."""
    instance: str
    """The bridge process that reported."""
    reported_at_ms: int
    """When it reported."""
    state: str
    """Session state of the worst bind, as SMPP names it."""
    binds: int
    """Sessions it keeps."""
    bound: int
    """Sessions that are bound now."""
    window: int
    """How many submit_sm may wait for their answer."""
    window_in_use: int
    """How many submit_sm wait for their answer now."""
    submits: int
    """submit_sm sent since the bridge started."""
    accepted: int
    """submit_sm accepted since the bridge started."""
    rejected: int
    """submit_sm refused since the bridge started."""
    receipts: int
    """Receipts taken since the bridge started."""
    inbound: int
    """Replies taken since the bridge started."""
    unknown: int
    """submit_sm whose answer was cut off since the bridge started."""
    reconnects: int
    """Sessions that had to be made anew since the bridge started."""
    last_error: str | None
    """What went wrong last; NULL when nothing has."""


class Activity(Row, frozen=True, kw_only=True, gc=False):
    """Events per topic per ten seconds of event time."""

    bucket_start_ms: int
    """Begin of the ten seconds."""
    topic: str
    """Kafka topic of the events."""
    events: int
    """Distinct events that happened in these ten seconds."""


class Lag(Row, frozen=True, kw_only=True, gc=False):
    """How far the worker is behind on one partition."""

    topic: str
    """Kafka topic that is read."""
    partition: int
    """Partition of the topic."""
    next_offset: int
    """Offset that is read next: everything before it is in this snapshot."""
    end_offset: int
    """Offset that is written next, when the broker was last asked."""

    @property
    def waiting(self) -> int:
        """Offsets that are not in this snapshot."""
        return self.end_offset - self.next_offset


class Partition(Row, frozen=True, kw_only=True, gc=False):
    """Who counts a partition of people; empty where one worker reads everything."""

    partition: int
    """Partition of every subject-keyed topic."""
    worker: str
    """Host and process that counted it last."""
    deltas: int
    """Changes that it has sent to the sink, and that are in this snapshot."""
    counted_at_ms: int
    """When the last of them was counted, by the worker's clock."""


class Deliverability(Row, frozen=True, kw_only=True, gc=False):
    """Final receipts by connection, hour, state and error."""

    connection: str
    """Named route to the operator account that reported."""
    hour_start_ms: int
    """Begin of the hour in which the receipts came."""
    state: str
    """Message state by SMPP 5.0 §4.7.15."""
    err: str
    """The operator's error code as it came; empty without one."""
    receipts: int
    """Distinct final receipts."""


class ReceiptLatency(Row, frozen=True, kw_only=True, gc=False):
    """How long final receipts took, as a histogram: message parts by connection and hour."""

    connection: str
    """Named route to the operator account."""
    hour_start_ms: int
    """Begin of the hour in which the parts were submitted."""
    up_to_ms: int
    """Upper end of the bucket: from submit_sm_resp to the first final receipt; the last is open."""
    parts: int
    """Message parts whose first final receipt took so long."""


class UnmatchedReceipt(Row, frozen=True, kw_only=True, gc=False):
    """A receipt without its submit, so far."""

    connection: str
    """Named route to the operator account that reported."""
    smsc_message_id: str
    """The operator's id as it came."""
    subject: str
    """Token of the person whose number the receipt names."""
    state: str
    """Message state by SMPP 5.0 §4.7.15."""
    received_at_ms: int
    """When the receipt came."""
    reason: str
    """Why it has no message: no_id, no_submit, several_unknown."""
    age_ms: int = 0
    """How long it has waited, in event time, when the snapshot was made."""


class DeadLetter(Row, frozen=True, kw_only=True, gc=False):
    """A record that could not be used; the bytes are in `<topic>.dlq`."""

    topic: str
    """Topic it was read from."""
    partition: int
    """Partition it was read from."""
    record_offset: int
    """Its offset in the partition."""
    reason: str
    """Why it could not be used, without quoting numbers."""
    seen_at_ms: int
    """When the worker met it."""


class Gap(Row, frozen=True, kw_only=True, gc=False):
    """Records that Kafka no longer had when they were due: the counts lack them for good."""

    topic: str
    """Topic that should have been read."""
    partition: int
    """Partition of the topic."""
    first_offset: int
    """Offset at which reading stood."""
    next_offset: int
    """Offset at which it could go on."""
    missing: int
    """Offsets between that carried no record any more."""
    seen_at_ms: int
    """When the worker met the gap."""
    written_after_ms: int | None = None
    """When it last had everything that Kafka held: what is missing came later; NULL: never had."""
    written_before_ms: int | None = None
    """Kafka's time of the first record left, which came after what is missing; NULL: unknown."""


class FactFile(Row, frozen=True, kw_only=True, gc=False):
    """A Parquet file of row-level events; only files that are listed here count."""

    file: str
    """Path of the file below the folder `facts` of the worker."""
    topic: str
    """Topic of the events; the folder is named after their type."""
    day: str
    """UTC day on which the events happened, as YYYY-MM-DD."""
    events: int
    """Events in the file, repeated ones too."""
    first_position: int
    """Sum of the topic's offsets over its partitions where the file begins."""
    next_position: int
    """The same where the next file begins; ranges of a topic fit together without a hole."""
    written_at_ms: int
    """When the file was written."""
    partition: int | None = None
    """Whose events and positions it holds, with several workers; NULL: those of all together."""


class SnapshotInfo(Row, frozen=True, kw_only=True, gc=False):
    """Proves what a snapshot contains."""

    snapshot: int
    """Number of the snapshot, rising."""
    snapshot_at_ms: int
    """When the snapshot was written, by the worker's clock."""
    events_applied: int
    """Distinct events in the counts."""
    duplicates_ignored: int
    """Events that came again and changed nothing."""
    is_broker_in_memory: bool
    """Whether Kafka was the in-memory one, which keeps nothing."""
    kafka_cluster_id: str
    """Id of the Kafka cluster that was read."""
    schema_version: int
    """Version of these tables; raised when a column changes its meaning."""
    facts_from: str | None = None
    """UTC day before which row-level facts were deleted, as YYYY-MM-DD; NULL: none were."""
