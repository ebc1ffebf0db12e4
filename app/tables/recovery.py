"""Recovery of the tables that begins a step anew where it took too long."""

import logging
from typing import Any

from faust.tables import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

__all__ = ["PatientTableManager"]

_log = logging.getLogger(__name__)


class PatientRecovery(Recovery):
    """Faust's recovery, which takes a step that ran out of time for a worker that stops.

    It ended then for ever, without a word, and the worker kept partitions on which it did nothing: mode's
    `wait_first` answers `stopped` for both.
    """

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109
        try:
            await super()._wait(coro, timeout=timeout)
        except ServiceStopped:
            if self.should_stop or self.app.should_stop:
                raise
            _log.warning("a step of the tables' recovery took longer than %s s: it begins anew", timeout)
            self.signal_recovery_start.set()
            raise RebalanceAgain from None


class PatientTableManager(TableManager):
    """Faust's manager of tables, with that recovery."""

    @property
    def recovery(self) -> Recovery:
        """Return the recovery, made once."""
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
