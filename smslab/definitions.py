"""The definition of a campaign that is in force: tells a repeated plan from a new one."""

from __future__ import annotations

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from schemas.codec import SchemaError, TopicDecoder, decoder_for
from schemas.events import CampaignDefined
from schemas.topics import CAMPAIGN_DEFINITION

_READ_WITHIN_S: Final = 20.0


async def definition_in_force(bootstrap: str, campaign_id: str) -> CampaignDefined | None:
    """The highest plan version of a campaign on `sms.campaign.definition.v1`.

    Raises:
        KafkaError: If the broker does not answer.
        TimeoutError: If the topic cannot be read to its end in time.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partition = TopicPartition(CAMPAIGN_DEFINITION.name, 0)
    decoder = decoder_for(CAMPAIGN_DEFINITION.name)
    found: CampaignDefined | None = None
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        async with asyncio.timeout(_READ_WITHIN_S):
            while await consumer.position(partition) < end:
                batches = await consumer.getmany(partition, timeout_ms=200)
                for record in batches.get(partition, ()):
                    found = _newer(found, _decoded(decoder, record.value), campaign_id)
    finally:
        await consumer.stop()
    return found


def _decoded(decoder: TopicDecoder, value: bytes | None) -> CampaignDefined | None:
    try:
        event = decoder.decode(value) if value else None
    except SchemaError:
        return None  # the worker has it as a dead letter
    return event if isinstance(event, CampaignDefined) else None


def _newer(
    known: CampaignDefined | None, found: CampaignDefined | None, campaign_id: str
) -> CampaignDefined | None:
    if found is None or found.campaign_id != campaign_id:
        return known
    return found if known is None or found.plan_version >= known.plan_version else known
