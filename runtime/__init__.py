"""What every process stands on: settings, Kafka publisher, topics, health, logs, shutdown.

No business knowledge. The pure cores (protocol, campaigns, stats, join) never import it.
"""
