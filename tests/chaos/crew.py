"""Workers that are started again where they end unasked, as a service manager does it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, RLock, Thread
from types import TracebackType
from typing import Self

from cluster import Cluster, Worker, request, wait_for

__all__ = ["Crew", "is_ready"]

#: Seconds between two looks at who has ended.
_LOOK_EVERY = 0.5


class Crew:
    """The workers of a cluster; to be used as a context."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._wanted: list[Worker] = []
        self._lock = RLock()
        self._ended = Event()
        self._watch = Thread(target=self._keep, name="crew")
        #: How often one has ended by itself.
        self.restarts = 0

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watch.join()

    @property
    def members(self) -> list[Worker]:
        """Those that are to run now."""
        with self._lock:
            return [*self._wanted]

    def join(self, worker: Worker | None = None) -> Worker:
        """Start a worker: a new one, or one that has ended."""
        started = self._cluster.worker() if worker is None else worker.start()
        with self._lock:
            self._wanted.append(started)
        return started

    def leave(self, worker: Worker) -> None:
        """Ask a worker to end, and wait until it has."""
        self._let_go(worker)
        assert worker.stop() == 0, f"{worker.name} did not end in good order"

    def kill(self, worker: Worker) -> None:
        """End a worker at once."""
        self._let_go(worker)
        worker.kill()

    @contextmanager
    def paused(self, worker: Worker) -> Iterator[None]:
        """Let a worker stand still, as a machine does that swaps."""
        worker.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            worker.signal(signal.SIGCONT)

    def until_ready(self) -> None:
        """Wait until all members are ready."""
        for worker in self.members:
            wait_for(f"{worker.name} to be ready", lambda worker=worker: is_ready(worker))

    def _let_go(self, worker: Worker) -> None:
        with self._lock:
            self._wanted.remove(worker)

    def _keep(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            with self._lock:
                for worker in self._wanted:
                    if worker.code is not None:
                        self.restarts += 1
                        worker.start()


def is_ready(worker: Worker) -> bool:
    """Tell whether a worker is ready; it may have ended, and be started again in a moment."""
    try:
        return bool(request(f"{worker.url}/readyz")["ready"])
    except OSError:
        return False
