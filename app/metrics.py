"""What Onlooker counts, for Prometheus; Faust's own sensor shares the registry."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

__all__ = ["Metrics"]

_STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_AGE_SECONDS = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10, 60)
_BATCH_FRAMES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"onlooker_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"onlooker_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"onlooker_{name}", text, labels, buckets=buckets, registry=registry)

        self.frames = counter("frames", "Frames recognised.", "stream")
        self.faces = counter("faces", "Faces found.", "stream")
        self.skipped = counter("skipped_frames", "Frames not worked on.", "stream", "reason")
        self.repeated = counter("repeated_frames", "Frames that were worked on twice.", "stream")
        self.dead_letters = counter("dead_letters", "Messages not handled.", "topic", "reason")
        self.unreadable = counter("unreadable_records", "Records passed over.", "topic", "reason")
        self.stages = histogram("stage_seconds", "Seconds of a frame in a stage.", _STAGE_SECONDS, "stage")
        self.age = histogram("frame_age_seconds", "From capture to published faces.", _AGE_SECONDS, "stream")
        self.batches = histogram("batch_frames", "Frames that went through the nets together.", _BATCH_FRAMES)
        self.sightings = counter("sightings", "Sightings that ended.", "stream", "known")
        self.people = gauge("gallery_people", "Enrolled people.")
        self.unreadable_people = gauge("gallery_unreadable_people", "Enrolled people who cannot be read.")
        self.templates = gauge("gallery_templates", "Templates that can be matched.")
        self.viewers = gauge("viewers", "Viewers of a stream.", "stream")
        self.rendered = counter("rendered_frames", "Frames annotated for viewers.", "stream")
