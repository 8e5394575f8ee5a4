"""The Faust schema that leaves a `RecordBatch` as it is: decoding is the agent's work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.events import Event


class BatchSchema(faust.Schema[Any, Any]):
    """Wraps the batch in an event. Topics call `compile`; `decode` is its uncompiled form."""

    async def decode(self, app: Any, message: Any, *, propagate: bool = False) -> Event:  # noqa: ARG002 - Faust's signature
        """One event whose value is the batch."""
        return Event(app, None, message.value, [], message)

    def compile(
        self,
        app: Any,
        *,
        on_key_decode_error: Any = None,  # noqa: ARG002 - Faust's signature
        on_value_decode_error: Any = None,  # noqa: ARG002
        default_propagate: bool = False,
    ) -> Callable[..., Awaitable[Event]]:
        """The decoder a topic calls per message."""

        async def decode(message: Any, *, propagate: bool = default_propagate) -> Event:
            return await self.decode(app, message, propagate=propagate)

        return decode


def batch_topic(app: Any, *names: str) -> Any:
    """A Faust topic over `names` whose events are batches."""
    schema = BatchSchema(key_serializer="raw", value_serializer="raw")
    return app.topic(*names, key_serializer="raw", value_serializer="raw", schema=schema)
