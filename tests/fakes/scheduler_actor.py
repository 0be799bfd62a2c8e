"""SchedulerActor as a plain object: ``@ray.method`` gives its methods the type of their handles."""

from collections.abc import Sequence
from typing import Protocol, cast

from actors.model.host import Claim, HostReport, HostUsage
from actors.model.reply import Reply
from actors.ports.clock import Clock
from actors.ports.scheduler import ClaimRequest, Release
from actors.ports.store import Store
from actors.scheduler import SchedulerActor


class PlainSchedulerActor(Protocol):
    """Its methods, called without Ray."""

    async def claim_many(self, requests: Sequence[ClaimRequest]) -> tuple[Reply[Claim], ...]: ...

    async def release_many(self, releases: Sequence[Release]) -> tuple[Reply[None], ...]: ...

    async def report(self, report: HostReport) -> None: ...

    async def hosts(self) -> tuple[HostUsage, ...]: ...

    async def set_enabled(self, host: str, enabled: bool, reason: str) -> HostUsage: ...


def scheduler_actor(
    store: Store, clock: Clock, down_after_seconds: float = 15.0
) -> PlainSchedulerActor:
    """An actor in this process. Needs a running loop."""
    return cast("PlainSchedulerActor", SchedulerActor(store, clock, down_after_seconds))
