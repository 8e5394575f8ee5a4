"""What every process of ours stands on: settings, the Kafka publisher, topic creation, health, logs, shutdown.

No business knowledge. The pure cores (protocol, campaigns, stats, join) never import it.
"""
