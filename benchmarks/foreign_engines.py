"""The process of a foreign engine in `engines`: reads one topic to its end, counting by key.

Runs in an environment that has the engine and msgspec, nothing else of the project's packages.
Each engine keeps its count per key the way its documentation does; the value is decoded with our
codec, as on our side.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from benchmarks.meter import TOPIC, Meter


def quixstreams(bootstrap: str, folder: Path, meter: Meter) -> None:
    """State in RocksDB with a changelog topic, its defaults."""
    app = import_module("quixstreams").Application(
        broker_address=bootstrap,
        consumer_group=folder.name,
        auto_offset_reset="earliest",
        state_dir=str(folder),
        loglevel="ERROR",
    )
    topic = app.topic(TOPIC.name, key_deserializer="bytes", value_deserializer="bytes")

    def count(value: bytes, state: Any) -> None:
        meter.take(value)
        state.set("count", state.get("count", 0) + 1)
        _finish(meter)

    app.dataframe(topic).update(count, stateful=True)
    app.run()


def bytewax(bootstrap: str, _: Path, meter: Meter) -> None:
    """State in memory, without its recovery store."""
    op = import_module("bytewax.operators")
    outputs = import_module("bytewax.outputs")

    class Nowhere(outputs.StatelessSinkPartition):  # type: ignore[misc,name-defined]
        def write_batch(self, items: list[object]) -> None: ...

    class Sink(outputs.DynamicSink):  # type: ignore[misc,name-defined]
        def build(self, *_: object) -> Nowhere:
            return Nowhere()

    def count(state: int | None, value: bytes) -> tuple[int, int]:
        meter.take(value)
        _finish(meter)
        state = (state or 0) + 1
        return state, state

    flow = import_module("bytewax.dataflow").Dataflow("count")
    kafka = import_module("bytewax.connectors.kafka")
    source = kafka.KafkaSource([bootstrap], [TOPIC.name], tail=True, batch_size=5000)
    records = op.input("topic", flow, source)
    keyed = op.map("key", records, lambda record: (record.key.decode(), record.value))
    op.output("counts", op.stateful_map("count", keyed, count), Sink())
    import_module("bytewax.testing").run_main(flow)


def _finish(meter: Meter) -> None:
    """At the end print what was measured, and go without the engine's farewells."""
    meter.look()
    if meter.found is not None:
        print(json.dumps(meter.found), flush=True)
        os._exit(0)


_ENGINES: Final[dict[str, Callable[[str, Path, Meter], None]]] = {
    "quixstreams": quixstreams,
    "bytewax": bytewax,
}


if __name__ == "__main__":
    _ENGINES[sys.argv[1]](sys.argv[2], Path(sys.argv[4]), Meter(int(sys.argv[3])))
