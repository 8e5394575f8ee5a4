"""Prometheus metrics of a proxy's accounts, beside those of its connections (`metrics`).

| name | kind | meaning |
|---|---|---|
| `smslab_bridge_account_bound` | gauge | bound sessions of the `account` |
| `smslab_bridge_account_waiting` | gauge | deliver_sm that wait for the account's sessions |
| `smslab_bridge_account_submits_total` | counter | submit_sm taken from the account |
| `smslab_bridge_account_refused_total` | counter | submit_sm refused by us, by `command_status` |
| `smslab_bridge_account_delivered_total` | counter | deliver_sm the account has acknowledged |
| `smslab_bridge_account_dropped_total` | counter | deliver_sm it never got, by its policy |
| `smslab_bridge_account_unexpected_total` | counter | PDUs on which we failed unforeseen |
| `smslab_bridge_unrouted_total` | counter | deliver_sm of a `connection`, of no account |
| `smslab_bridge_listener_refused_total` | counter | connections we do not serve, by `reason` |

Reasons of `listener_refused`, each connection once: `connections` (over max_connections, or not
bound when a later one needed the place), `tls` (no handshake), `timeout` (handshake or bind not
within 10 s), `not_bind` (something else came first), `garbage` (no SMPP), `flood` (too much before
the bind), `credentials` (no such account or a wrong password), `guessing` (too many of these,
refused unread), `address` (not allowed for the account, or for any), `bind` (its kind, or one too
many), `unexpected` (a fault of ours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smpp_bridge.adapters.counts import status_label
from smpp_bridge.adapters.deliveries import Client
from smpp_bridge.adapters.listener import REASONS, Listener
from smpp_bridge.adapters.metrics import PREFIX
from smpp_bridge.adapters.relay import Relay

_GAUGES: Final[dict[str, tuple[str, Callable[[Client], float]]]] = {
    "account_bound": ("Bound sessions.", lambda client: client.bound),
    "account_waiting": ("deliver_sm that wait.", lambda client: len(client.waiting)),
}
_COUNTERS: Final[dict[str, tuple[str, Callable[[Client], float]]]] = {
    "account_submits": ("submit_sm taken.", lambda client: client.submits),
    "account_delivered": ("deliver_sm acknowledged.", lambda client: client.delivered),
    "account_dropped": ("deliver_sm never forwarded.", lambda client: client.dropped),
    "account_unexpected": ("PDUs that failed unforeseen.", lambda client: client.unexpected),
}


class ClientCollector(Collector):
    """Reads all accounts when scraped."""

    def __init__(
        self, clients: Mapping[str, Client], relays: Mapping[str, Relay], listener: Listener
    ) -> None:
        self._clients = clients
        self._relays = relays
        self._listener = listener

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(PREFIX + name, text, labels=["account"])
            for account, client in self._clients.items():
                gauge.add_metric([account], value(client))
            yield gauge
        for name, (text, value) in _COUNTERS.items():
            counter = CounterMetricFamily(PREFIX + name, text, labels=["account"])
            for account, client in self._clients.items():
                counter.add_metric([account], value(client))
            yield counter
        refused = CounterMetricFamily(
            f"{PREFIX}account_refused", "Refused by us.", labels=["account", "command_status"]
        )
        for account, client in self._clients.items():
            for status, number in client.refused.items():
                refused.add_metric([account, status_label(status)], number)
        yield refused
        unrouted = CounterMetricFamily(
            f"{PREFIX}unrouted", "deliver_sm of no account.", labels=["connection"]
        )
        for connection, relay in self._relays.items():
            unrouted.add_metric([connection], relay.unrouted)
        yield unrouted
        strangers = CounterMetricFamily(
            f"{PREFIX}listener_refused", "Connections not served.", labels=["reason"]
        )
        for reason in REASONS:
            strangers.add_metric([reason], self._listener.refused[reason])
        yield strangers
