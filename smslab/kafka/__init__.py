"""A Kafka broker without Docker: the real Apache Kafka, or the in-memory fallback."""

from smslab.kafka.choice import Broker, KafkaUnavailable, open_kafka

__all__ = ["Broker", "KafkaUnavailable", "open_kafka"]
