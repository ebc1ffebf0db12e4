"""Recognition over time, in plain Python and numpy: no Kafka, no nets, no clock."""
