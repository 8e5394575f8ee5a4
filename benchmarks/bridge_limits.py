"""What the bridge promises beside its rate: short acks, little memory, use of a second core."""

from __future__ import annotations

from typing import Final

from benchmarks import idle, latency, two_processes
from benchmarks.bridge_process import on_one_broker
from benchmarks.figures import Benchmark

LIMITS: Final = Benchmark(
    "limits",
    "`python -m smpp_bridge`: ack latency at a steady rate, 1,000 idle connections, two processes",
    (*latency.FIGURES, *idle.FIGURES, *two_processes.FIGURES),
    on_one_broker(
        latency.ack_latency, idle.idle_esmes, idle.idle_binds, two_processes.two_processes
    ),
)
