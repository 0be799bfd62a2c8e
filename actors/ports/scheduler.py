"""Placement, as its users see it."""

from dataclasses import dataclass
from typing import Protocol

from actors.model.flavor import Resources
from actors.model.host import Claim, HostReport, HostUsage, Part
from actors.model.ids import HostId, InstanceId


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Find a host for an instance and take what it needs there.

    Converging: the same instance, sequence and attempt gets the same claim again. A new attempt
    gives back what an earlier one took.
    """

    instance: InstanceId
    sequence: int
    attempt: int
    resources: Resources
    availability_zone: str = "nova"
    #: Only this host (by name) will do.
    host: str | None = None
    #: Hosts that already failed this boot (by id).
    exclude: tuple[HostId, ...] = ()
    #: The host it lives on, where this is a resize: what it holds there is kept beside the new
    #: claim, until one of the two is released. It is preferred: there nothing has to move.
    lives_on: HostId | None = None
    #: It is not to stay there.
    must_move: bool = False
    #: It stays where it is, and its claim there becomes as large as this: no other host will do.
    in_place: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Give back an instance's claim.

    An older operation's release changes nothing; none to give is no error.
    """

    instance: InstanceId
    sequence: int
    #: The attempt failed on its host: counts against that host until a boot succeeds there.
    failed: bool = False
    #: Without a resize under way there is nothing but ALL to give.
    part: Part = Part.ALL


class Scheduler(Protocol):
    """One writer of hosts and claims: two claims never race."""

    async def claim(self, request: ClaimRequest) -> Claim:
        """A durable claim.

        Raises:
            NoValidHost: With, per host, the filter that refused it.
            Exhausted: Its host has no room for a claim that grows in place.
        """
        ...

    async def release(self, release: Release) -> None:
        """Durable when it returns."""
        ...

    async def report(self, report: HostReport) -> None:
        """A host says how it is. A report with an older epoch is dropped."""
        ...

    async def hosts(self) -> tuple[HostUsage, ...]:
        """All hosts by name, with what is claimed of each."""
        ...

    async def set_enabled(self, host: str, enabled: bool, reason: str) -> HostUsage:
        """Take a host out of placement, or back in.

        Raises:
            NotFound: No host has that name or id.
        """
        ...
