"""Prometheus metrics of a bridge, at `/metrics` beside the health endpoint.

Read from the running totals of `Counts` when scraped.
Every metric has the label `connection`.

| name | kind | meaning |
|---|---|---|
| `smslab_bridge_bound` | gauge | bound sessions |
| `smslab_bridge_binds` | gauge | sessions that shall be bound |
| `smslab_bridge_state` | gauge | 1 for the session state (label `state`) of the worst session |
| `smslab_bridge_window_size` | gauge | unanswered submit_sm that all sessions together may have |
| `smslab_bridge_window_in_use` | gauge | unanswered submit_sm |
| `smslab_bridge_in_flight` | gauge | messages without a durable result |
| `smslab_bridge_backlog` | gauge | messages that wait for a window slot |
| `smslab_bridge_learned_rate` | gauge | submit_sm a second learned from throttling; 0 before |
| `smslab_bridge_lease_held` | gauge | 1 while it may send; else Kafka is away or another has it |
| `smslab_bridge_unacknowledged` | gauge | deliver_sm that wait for Kafka |
| `smslab_bridge_paused` | gauge | sessions whose socket is not read, because too much waits |
| `smslab_bridge_submits_total` | counter | submit_sm sent |
| `smslab_bridge_results_total` | counter | results by `outcome` |
| `smslab_bridge_statuses_total` | counter | answers of the SMSC by `command_status` (hexadecimal) |
| `smslab_bridge_throttled_total` | counter | RTHROTTLED and RMSGQFUL of the SMSC |
| `smslab_bridge_receipts_total` | counter | receipts by `state` |
| `smslab_bridge_receipt_id_spelling_total` | counter | receipts of a sample, by `spelling` |
| `smslab_bridge_inbound_total` | counter | replies (MO); one of several parts counts once |
| `smslab_bridge_incomplete_total` | counter | long replies of which a part did not come |
| `smslab_bridge_dead_lettered_total` | counter | PDUs and requests that could not be used |
| `smslab_bridge_unstored_total` | counter | deliver_sm refused because Kafka did not take them |
| `smslab_bridge_unexpected_total` | counter | PDUs on which we failed unforeseen |
| `smslab_bridge_dropped_total` | counter | what came and did not get through, by `reason` |
| `smslab_bridge_reconnects_total` | counter | binds after the first of each session |
| `smslab_bridge_submit_latency_seconds` | histogram | submit_sm to its answer |
| `smslab_bridge_ack_latency_seconds` | histogram | deliver_sm to our answer, Kafka in between |
| `smslab_bridge_publish_latency_seconds` | histogram | result of a submit_sm to Kafka's answer |
| `smslab_bridge_publishing` | gauge | records that Kafka has not confirmed (no label) |

Spellings, beside the id of the submit_sm_resp: `exact`; other `case`; `zeros` added or stripped;
a `suffix` behind `@`; `decimal` where it was hexadecimal, and `hexadecimal` where it was decimal;
`other_id`: the TLV has an id of its own, the text the known one. One id a second is watched.

A `command_status` that SMPP does not name is `other`, unless it is a vendor's (0x400 to 0x4ff).

Reasons of `dropped`: `full` (refused, since too many wait) and `unstored` (Kafka did not take
it), which come again; `unusable`, which is on the dead letters (of unreadable PDUs the
first 1000 that wait for Kafka); `oversized` (proxy): TLVs, or the id, of an SMSC's answer of more
than 2 KiB, whose rest passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from smpp_bridge.adapters.counts import BUCKETS, Counts, Latency, status_label

if TYPE_CHECKING:
    from smpp_bridge.bridge import Route

PREFIX: Final = "smslab_bridge_"
_GAUGES: Final[dict[str, tuple[str, Callable[[Route], float]]]] = {
    "bound": ("Bound sessions.", lambda route: route.links.bound),
    "binds": ("Sessions that shall be bound.", lambda route: route.links.size),
    "window_size": (
        "Unanswered submit_sm allowed.",
        lambda route: route.config.window * route.links.size,
    ),
    "window_in_use": ("Unanswered submit_sm.", lambda route: route.links.window_in_use),
    "in_flight": ("Messages without a durable result.", lambda route: route.in_flight),
    "backlog": ("Messages that wait for a window slot.", lambda route: route.backlog),
    "learned_rate": (
        "submit_sm a second that the SMSC takes, once it has throttled.",
        lambda route: route.learned_per_s,
    ),
    "lease_held": ("Whether it may send.", lambda route: route.is_lease_held),
    "unacknowledged": (
        "deliver_sm that wait for Kafka.",
        lambda route: sum(link.unacknowledged for link in route.links.connected()),
    ),
    "paused": (
        "Sessions whose socket is not read.",
        lambda route: sum(not link.is_reading for link in route.links.connected()),
    ),
}
_COUNTERS: Final[dict[str, tuple[str, Callable[[Route], float]]]] = {
    "submits": ("submit_sm sent.", lambda route: route.counts.submits),
    "throttled": ("RTHROTTLED and RMSGQFUL.", lambda route: route.counts.throttled),
    "inbound": ("Replies (MO).", lambda route: route.counts.inbound),
    "incomplete": ("Long replies that lack a part.", lambda route: route.counts.incomplete),
    "dead_lettered": ("What could not be used.", lambda route: route.counts.unreadable),
    "unstored": ("deliver_sm that Kafka did not take.", lambda route: route.counts.unstored),
    "unexpected": ("PDUs that failed unforeseen.", lambda route: route.counts.unexpected),
    "reconnects": ("Binds after the first.", lambda route: route.links.reconnects),
}
_LATENCIES: Final[dict[str, tuple[str, Callable[[Counts], Latency]]]] = {
    "submit": ("submit_sm to its answer.", lambda counts: counts.submit_latency),
    "ack": ("deliver_sm to our answer.", lambda counts: counts.ack_latency),
    "publish": ("Submit result to Kafka's answer.", lambda counts: counts.publish_latency),
}
_DROPPED: Final[dict[str, Callable[[Route], int]]] = {
    "full": lambda route: route.links.refused_full,
    "unstored": lambda route: route.counts.unstored,
    "unusable": lambda route: route.counts.unreadable,
    "oversized": lambda route: route.counts.oversized,
}
_OUTCOMES: Final = ("accepted", "rejected", "unknown", "expired")


class RouteCollector(Collector):
    """Reads all routes when scraped."""

    def __init__(self, routes: Sequence[Route], publishing: Callable[[], float]) -> None:
        self._routes = routes
        self._publishing = publishing

    def collect(self) -> Iterator[Metric]:
        """All metrics of all routes."""
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(PREFIX + name, text, labels=["connection"])
            for route in self._routes:
                gauge.add_metric([route.config.name], value(route))
            yield gauge
        for name, (text, value) in _COUNTERS.items():
            counter = CounterMetricFamily(PREFIX + name, text, labels=["connection"])
            for route in self._routes:
                counter.add_metric([route.config.name], value(route))
            yield counter
        yield self._states()
        yield from self._by_label()
        yield from self._latencies()
        yield GaugeMetricFamily(
            f"{PREFIX}publishing", "Records that Kafka has not confirmed.", self._publishing()
        )

    def _states(self) -> Metric:
        states = GaugeMetricFamily(
            f"{PREFIX}state", "State of the worst session.", labels=["connection", "state"]
        )
        for route in self._routes:
            states.add_metric([route.config.name, route.links.state], 1)
        return states

    def _latencies(self) -> Iterator[Metric]:
        for name, (text, latency_of) in _LATENCIES.items():
            histogram = HistogramMetricFamily(
                f"{PREFIX}{name}_latency_seconds", text, labels=["connection"]
            )
            for route in self._routes:
                latency = latency_of(route.counts)
                histogram.add_metric([route.config.name], _buckets_of(latency), latency.total_s)
            yield histogram

    def _by_label(self) -> Iterator[Metric]:
        yield self._labelled(
            "results",
            "Results.",
            "outcome",
            lambda route: [(name, getattr(route.counts, name)) for name in _OUTCOMES],
        )
        yield self._labelled(
            "dropped",
            "What did not get through.",
            "reason",
            lambda route: [(name, value(route)) for name, value in _DROPPED.items()],
        )
        yield self._labelled(
            "receipts", "Receipts.", "state", lambda route: route.counts.receipt_states.items()
        )
        yield self._labelled(
            "receipt_id_spelling",
            "Receipts of a sample.",
            "spelling",
            lambda route: route.counts.spellings.items(),
        )
        yield self._labelled(
            "statuses",
            "Answers of the SMSC.",
            "command_status",
            lambda route: [(status_label(s), n) for s, n in route.counts.statuses.items()],
        )

    def _labelled(
        self, name: str, text: str, label: str, values: Callable[[Route], Iterable[tuple[str, int]]]
    ) -> Metric:
        counter = CounterMetricFamily(PREFIX + name, text, labels=["connection", label])
        for route in self._routes:
            for key, count in values(route):
                counter.add_metric([route.config.name, key], count)
        return counter


def _buckets_of(latency: Latency) -> list[tuple[str, float]]:
    """(upper bound, how many are at most that), as Prometheus wants it."""
    bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
    return list(zip(bounds, accumulate(latency.counts), strict=True))
