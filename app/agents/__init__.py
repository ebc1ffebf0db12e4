"""The agents: the only place where nets meet Kafka."""
