"""Kafka's storage folder: formatted once, and the cluster id that it then carries."""

import base64
import subprocess
import uuid
from pathlib import Path

from app.broker.configuration import STORAGE
from app.broker.errors import BrokerError
from app.broker.java import storage_command

__all__ = ["format_storage", "new_cluster_id", "read_cluster_id"]

_TIMEOUT = 60


def format_storage(data: Path, jars: list[Path]) -> str:
    """Return the cluster id of the storage in `data`, formatting it first if it is new.

    Raises:
        BrokerError: Kafka's tool refuses.
    """
    if (known := read_cluster_id(data)) is not None:
        return known
    cluster = new_cluster_id()
    command = storage_command(jars, cluster)
    try:
        done = subprocess.run(
            command, cwd=data, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise BrokerError(f"formatting {data / STORAGE} took longer than {_TIMEOUT} s") from None
    if done.returncode or read_cluster_id(data) != cluster:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise BrokerError(f"cannot format {data / STORAGE}: {lines[0] if lines else 'no reason given'}")
    return cluster


def read_cluster_id(data: Path) -> str | None:
    """Return the cluster id that Kafka wrote into the storage, or None if that is not formatted."""
    try:
        lines = (data / STORAGE / "meta.properties").read_text("latin-1").splitlines()
    except FileNotFoundError:
        return None
    return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)


def new_cluster_id() -> str:
    """Return a random cluster id as Kafka writes them: 22 characters of URL-safe base64."""
    while True:
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Kafka's tool would take it for an option.
        if not identity.startswith("-"):
            return identity
