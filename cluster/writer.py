"""The store as the cluster's own actors have it: a process that was replaced ends."""

import logging
import os
from typing import Final

from actors.handles.conductor import ConductorHandle
from actors.model.errors import Fenced
from actors.ports.store import Batch

_log: Final = logging.getLogger(__name__)


class WriterStore(ConductorHandle):
    """Implements ``ports.store.Store`` for those who write.

    Another process took this writer's epoch: Ray has replaced this one while it was cut off, or the
    other is one that Ray had replaced and did not know it yet. Either way this process ends at
    once. If it was the rightful one, Ray starts it again, and it takes the epoch back; the other
    ends at its own next write, and for good.
    """

    async def commit(self, batch: Batch) -> None:
        """As ``Store.commit``; does not return to who was replaced."""
        try:
            await super().commit(batch)
        except Fenced as error:
            _log.critical("%s was replaced by another process and ends: %s", batch.writer, error)
            logging.shutdown()
            # Not an exception: some of this process' tasks would go on.
            os._exit(1)
