"""Makes the lock anew, after a change of `COORDINATES`: ``python -m app.broker.relock > jars.lock``."""

import sys

import jgo

from app.broker.jars import LockedJar, sha256

__all__ = ["COORDINATES", "resolve"]

#: What is locked, with all that it needs. The `!` keeps the parent POM of one from setting the versions of
#: the other: without it log4j's replaces the Kafka clients by those of an older Kafka.
COORDINATES = ("org.apache.kafka:kafka_2.13:4.4.0!", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5!")


def resolve() -> list[LockedJar]:
    """Return what `COORDINATES` resolve to now, with the digests of what the repository sends."""
    artifacts = jgo.resolve("+".join(COORDINATES))
    jars = [LockedJar(a.groupId, a.artifactId, a.version, sha256(a.resolve())) for a in artifacts]
    return sorted(jars, key=str)


if __name__ == "__main__":
    sys.stdout.write(f"# {' '.join(COORDINATES)} by `python -m app.broker.relock`\n")
    sys.stdout.writelines(f"{jar} {jar.sha256}\n" for jar in resolve())
