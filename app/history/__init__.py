"""The read models: what the log says of sightings and streams, ready to be asked."""
