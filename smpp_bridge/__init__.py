"""SMPP to Kafka and back; knows no campaign."""
