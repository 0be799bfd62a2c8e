"""Now and then a host looks for files that none of its instances needs any more."""

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from actors.drivers.image_cache import ImageCache
from actors.model.instance import InstanceRecord
from actors.ports.clock import Clock
from actors.ports.hypervisor import Hypervisor

#: Between two looks.
_SWEEP_SECONDS: Final = 3600.0

_log: Final = logging.getLogger(__name__)


class Housekeeping:
    """Removes cached images and layers that are of no use."""

    def __init__(
        self,
        state_dir: Path,
        unused_seconds: float,
        hypervisor: Hypervisor,
        cache: ImageCache,
        threads: Executor,
        clock: Clock,
    ) -> None:
        self._state_dir = state_dir
        self._unused_seconds = unused_seconds
        self._hypervisor = hypervisor
        self._cache = cache
        self._threads = threads
        self._clock = clock
        self._due = 0.0

    async def sweep(self, placed: Iterable[InstanceRecord]) -> None:
        """Forget what none of these instances needs; most times it is too soon to look."""
        clock = self._clock
        if clock.monotonic() < self._due:
            return
        self._due = clock.monotonic() + _SWEEP_SECONDS
        records = tuple(placed)
        sources = [record.source for record in records]
        sources += [record.rescue.source for record in records if record.rescue is not None]
        age = self._unused_seconds
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, self._hypervisor.sweep_layers)
            await self._cache.sweep(sources, self._state_dir, clock.now().timestamp(), age)
        except OSError as error:
            _log.warning("%s keeps its cached images: %s", self._state_dir, error)
