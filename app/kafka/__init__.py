"""Kafka beside Faust: delivery, dead letters, topics that are followed, and which offsets are done."""
