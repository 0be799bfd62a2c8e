"""What each instance holds of which host, decided in memory. The SchedulerActor makes it durable.

Owns the rules: who may claim and release (an older operation changes nothing), what a host's report
changes, when a host counts as down. Knows no store and no clock: times are handed in, and what
changed is fetched with ``take_changes`` and written as one batch.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from actors.model.errors import AlreadyExists, Cancelled, Exhausted, NotFound
from actors.model.flavor import Resources
from actors.model.host import (
    Claim,
    HostRecord,
    HostReport,
    HostState,
    HostUsage,
    Part,
    Share,
)
from actors.model.ids import HostId, InstanceId
from actors.placement.decide import Refused, decide, no_valid_host
from actors.placement.fleet import Demand, Fleet

#: How many released instances are remembered, so that a late claim of an ended operation finds out.
#: Enough for the calls that can be under way at once, many times over.
REMEMBERED_RELEASES: Final = 20_000

_log = logging.getLogger(__name__)


class Claiming(Demand, Protocol):
    """A demand with the operation that makes it (``ports.scheduler.ClaimRequest`` is one)."""

    @property
    def sequence(self) -> int:
        """The operation's number, counted per instance."""
        ...

    @property
    def attempt(self) -> int:
        """The operation's attempt, from 1."""
        ...

    @property
    def in_place(self) -> bool:
        """The claim there is becomes as large as this."""
        ...


class Releasing(Protocol):
    """What the ledger reads of ``ports.scheduler.Release``."""

    @property
    def instance(self) -> InstanceId:
        """Whose claim."""
        ...

    @property
    def sequence(self) -> int:
        """The operation's number."""
        ...

    @property
    def failed(self) -> bool:
        """The boot failed on its host."""
        ...

    @property
    def part(self) -> Part:
        """What of the claim."""
        ...


@dataclass(slots=True)
class Heard:
    """What the scheduler has heard. Outlives a ledger, not the process: none of it is stored."""

    #: When each host that is not down reported last, longest ago first.
    reports: dict[HostId, float] = field(default_factory=dict)
    #: The epoch and the count of boots of each host's last report.
    boots: dict[HostId, tuple[int, int]] = field(default_factory=dict)
    #: The newest operation that released each instance's claim, oldest first.
    released: dict[InstanceId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What one batch must write."""

    hosts: tuple[HostRecord, ...]
    claims: tuple[Claim, ...]
    released: tuple[InstanceId, ...]


class ClaimLedger:
    """Hosts, claims and free resources."""

    def __init__(
        self,
        hosts: Iterable[HostRecord],
        claims: Iterable[Claim],
        heard: Heard,
        at: float,
        down_after_seconds: float,
    ) -> None:
        self._hosts = {record.id: record for record in hosts}
        self._names = {record.name: record.id for record in self._hosts.values()}
        self._fleet = Fleet(self._hosts.values())
        self._claims = {claim.instance: claim for claim in claims}
        for claim in self._claims.values():
            self._take(claim)
        self._heard = heard
        self._down_after = down_after_seconds
        # A host that was up when we stopped is given as long to report as any other.
        for record in self._hosts.values():
            if record.state is HostState.UP:
                heard.reports.setdefault(record.id, at)
        #: Rows written since the last batch, with the generation that is stored.
        self._host_rows: dict[HostId, tuple[int, HostRecord]] = {}
        self._claim_rows: dict[InstanceId, tuple[int, Claim | None]] = {}

    def __repr__(self) -> str:
        return f"{len(self._hosts)} hosts, {len(self._claims)} claims"

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims, by instance."""
        return tuple(self._claims[instance] for instance in sorted(self._claims))

    def take_changes(self) -> Changes:
        """What has changed since the last time somebody asked."""
        rows = self._claim_rows.items()
        changes = Changes(
            tuple(record for _, record in self._host_rows.values()),
            tuple(claim for _, (_, claim) in rows if claim is not None),
            tuple(instance for instance, (stored, claim) in rows if claim is None and stored),
        )
        self._host_rows, self._claim_rows = {}, {}
        return changes

    # Claims

    def claim(self, request: Claiming) -> Claim:
        """The instance's claim: the one this attempt has already, or a new one.

        Raises:
            NoValidHost: No host passes. What an earlier attempt took is given back; what an earlier
                operation held is kept: the instance still lives there.
            Cancelled: A newer operation or attempt has spoken for this instance.
            Exhausted: It is to grow in place, and there is no room.
        """
        held = self._claims.get(request.instance)
        if request.in_place:
            return self._in_place(held, request)
        asked = (request.sequence, request.attempt)
        if held is None:
            if request.sequence < self._heard.released.get(request.instance, 0):
                raise _superseded(request.instance)
        elif asked == (held.sequence, held.attempt):
            return held
        elif asked < (held.sequence, held.attempt):
            raise _superseded(request.instance)
        kept = _kept(held, request)
        if held is not None:
            self._give_back(held)
        if kept is not None:
            self._fleet.take(kept.host_id, kept.resources, lives=False)
        chosen = decide(self._fleet, request)
        if kept is not None:
            self._fleet.give_back(kept.host_id, kept.resources, lives=False)
        if isinstance(chosen, Refused):
            self._go_without(held, request)
            raise no_valid_host(request, chosen)
        claim = Claim(
            instance=request.instance,
            host_id=chosen.host.id,
            host=chosen.host.name,
            resources=request.resources,
            sequence=request.sequence,
            attempt=request.attempt,
            former=kept,
        )
        self._take(claim)
        return self._write_claim(claim)

    def _in_place(self, held: Claim | None, request: Claiming) -> Claim:
        """The same claim, larger or smaller. What does not grow always fits."""
        if held is None or request.sequence < held.sequence:
            raise _superseded(request.instance)
        if (held.resources, held.sequence) == (request.resources, request.sequence):
            return held
        missing = _missing(self._fleet, held, request.resources)
        if missing:
            raise Exhausted(
                f"The host of instance {request.instance} has no room for {missing} more. Resize "
                "the instance: that may move it to another host.",
                "HOST_HAS_NO_ROOM",
                "",
                {"instance": request.instance},
            )
        self._give_back(held)
        claim = held.evolve(
            resources=request.resources, sequence=request.sequence, attempt=request.attempt
        )
        self._take(claim)
        return self._write_claim(claim)

    def release(self, release: Releasing, now: datetime) -> None:
        """Give the instance's claim back, or a part of it, unless a newer operation made it."""
        held = self._claims.get(release.instance)
        if held is not None and release.sequence < held.sequence:
            return
        if release.part is not Part.ALL:
            if held is not None and held.former is not None:
                self._keep(held, held.former if release.part is Part.NEW else held, release)
            return
        released = self._heard.released
        newest = max(release.sequence, released.pop(release.instance, 0))
        released[release.instance] = newest
        if len(released) > REMEMBERED_RELEASES:
            del released[next(iter(released))]
        if held is None:
            return
        self._give_back(held)
        self._drop_claim(release.instance)
        record = self._hosts.get(held.host_id)
        if release.failed and record is not None:
            failed = record.failed_builds + 1
            self._write_host(record.evolve(failed_builds=failed, updated=now))

    # Hosts

    def heard(self, report: HostReport, at: float) -> bool:
        """Note the time of a report that changes nothing else; False where there is more to it."""
        record = self._hosts.get(report.id)
        if record is None:
            return False
        if report.epoch < record.epoch:
            return True  # a process that was replaced: what it says is no sign of life
        if self._as_reported(record, report) != record:
            return False
        self._note(report, at)
        return True

    def report(self, report: HostReport, now: datetime, at: float) -> None:
        """Take in what a host says of itself. A report of an older process is dropped.

        Raises:
            AlreadyExists: Another host has its name.
        """
        namesake = self._names.get(report.name, report.id)
        if namesake != report.id:
            raise AlreadyExists(
                f"Host name {report.name} belongs to host {namesake}. Give host {report.id} "
                "another name.",
                "HOST_NAME_TAKEN",
                metadata={"name": report.name, "host": namesake},
            )
        if self.heard(report, at):
            return
        old = self._hosts.get(report.id)
        record = self._as_reported(old or _new_host(report, now), report)
        if old is not None and old.name != record.name:
            del self._names[old.name]
            self._rename_claims(record)
        self._write_host(record.evolve(updated=now))
        self._note(report, at)

    def overdue(self, at: float) -> bool:
        """Whether a host that counts as up has been silent for too long."""
        return next(iter(self._heard.reports.values()), at) < at - self._down_after

    def expire(self, now: datetime, at: float) -> None:
        """Hosts that have been silent for too long are down until they report again."""
        while self.overdue(at):
            host = next(iter(self._heard.reports))
            del self._heard.reports[host]
            record = self._hosts.get(host)
            if record is not None and record.state is HostState.UP:
                _log.warning("host %s (%s) has not reported: down", record.name, host)
                self._write_host(_silent(record).evolve(updated=now))

    def set_enabled(self, host: str, enabled: bool, reason: str, now: datetime) -> HostUsage:
        """Take a host out of placement or back in; coming back, its failed boots are forgotten.

        Raises:
            NotFound: No host has that name or id.
        """
        record = self._hosts.get(self._names.get(host, HostId(host)))
        if record is None:
            raise NotFound(f"No host has the name or id {host}.", "HOST_NOT_FOUND")
        changed = record.evolve(
            enabled=enabled,
            disabled_reason="" if enabled else reason,
            failed_builds=0 if enabled else record.failed_builds,
        )
        if changed != record:
            self._write_host(changed.evolve(updated=now))
        return self._usage(self._hosts[record.id])

    def usages(self, at: float) -> tuple[HostUsage, ...]:
        """All hosts by name, as they are at this moment."""
        limit = at - self._down_after
        silent = {host for host, last in self._heard.reports.items() if last < limit}
        return tuple(
            self._usage(_silent(record) if record.id in silent else record)
            for record in sorted(self._hosts.values(), key=lambda record: record.name)
        )

    # Inside

    def _take(self, claim: Claim) -> None:
        for share in claim.shares:
            self._fleet.take(share.host_id, share.resources, lives=share is claim)

    def _give_back(self, claim: Claim) -> None:
        for share in claim.shares:
            self._fleet.give_back(share.host_id, share.resources, lives=share is claim)

    def _go_without(self, held: Claim | None, request: Claiming) -> None:
        """What is held when nothing is found: nothing of this operation's, but always a home."""
        if held is None:
            return
        if held.sequence != request.sequence:
            self._take(held)
        elif held.former is not None:
            self._take(self._write_claim(_only(held, held.former)))
        elif request.lives_on is not None:
            self._take(held)
        else:
            self._drop_claim(request.instance)

    def _keep(self, held: Claim, share: Share, release: Releasing) -> None:
        """Of the two parts this one is kept, and is the release's operation's from now on."""
        self._give_back(held)
        self._take(self._write_claim(_only(held, share).evolve(sequence=release.sequence)))

    def _as_reported(self, record: HostRecord, report: HostReport) -> HostRecord:
        boots = self._heard.boots.get(report.id)
        # The first count heard of a process tells nothing: its boots may lie before the failures.
        before = boots[1] if boots and boots[0] == report.epoch else report.boots
        return record.evolve(
            name=report.name,
            epoch=report.epoch,
            inventory=report.inventory,
            hypervisor=report.hypervisor,
            hypervisor_version=report.hypervisor_version,
            virt_type=report.virt_type,
            trouble=report.trouble,
            state=HostState.DOWN if report.trouble else HostState.UP,
            failed_builds=0 if report.boots > before else record.failed_builds,
        )

    def _note(self, report: HostReport, at: float) -> None:
        self._heard.reports.pop(report.id, None)
        self._heard.reports[report.id] = at
        self._heard.boots[report.id] = (report.epoch, report.boots)

    def _usage(self, record: HostRecord) -> HostUsage:
        view = self._fleet[record.id]
        return HostUsage(record=record, claimed=view.claimed, instances=view.instances)

    def _rename_claims(self, record: HostRecord) -> None:
        for claim in list(self._claims.values()):
            if claim.host_id == record.id:
                self._write_claim(claim.evolve(host=record.name))
            former = self._claims[claim.instance].former
            if former is not None and former.host_id == record.id:
                former = former.evolve(host=record.name)
                self._write_claim(self._claims[claim.instance].evolve(former=former))

    def _write_claim(self, claim: Claim) -> Claim:
        stored = self._stored_claim(claim.instance)
        claim = claim.evolve(generation=stored + 1)
        self._claims[claim.instance] = claim
        self._claim_rows[claim.instance] = (stored, claim)
        return claim

    def _drop_claim(self, instance: InstanceId) -> None:
        self._claim_rows[instance] = (self._stored_claim(instance), None)
        del self._claims[instance]

    def _stored_claim(self, instance: InstanceId) -> int:
        # Twice in one batch is still one generation: the store sees the batch as one change.
        if instance in self._claim_rows:
            return self._claim_rows[instance][0]
        return self._claims[instance].generation if instance in self._claims else 0

    def _write_host(self, record: HostRecord) -> None:
        if record.id in self._host_rows:
            stored = self._host_rows[record.id][0]
        else:
            stored = self._hosts[record.id].generation if record.id in self._hosts else 0
        record = record.evolve(generation=stored + 1)
        self._hosts[record.id] = record
        self._names[record.name] = record.id
        self._fleet.put(record)
        self._host_rows[record.id] = (stored, record)


def _kept(held: Claim | None, request: Claiming) -> Share | None:
    """What is held beside a new claim: of a resize, what there was before its first attempt."""
    if held is None or request.lives_on is None:
        return None
    if held.former is not None:
        return held.former
    return Share(host_id=held.host_id, host=held.host, resources=held.resources)


def _missing(fleet: Fleet, held: Claim, wanted: Resources) -> str:
    """What its host has not got of what a claim is to grow by, in words; empty where it fits."""
    view, has = fleet[held.host_id], held.resources
    growth = (
        (wanted.memory_mb - has.memory_mb, view.free_memory_mb, "MiB of memory"),
        (wanted.vcpus - has.vcpus, view.free_vcpus, "vCPUs"),
        (wanted.disk_gb - has.disk_gb, view.free_disk_gb, "GiB of disk"),
    )
    return " and ".join(f"{more} {unit}" for more, free, unit in growth if more > max(0, free))


def _only(held: Claim, share: Share) -> Claim:
    """The claim, holding this share and no other."""
    return held.evolve(
        host_id=share.host_id, host=share.host, resources=share.resources, former=None
    )


def _silent(record: HostRecord) -> HostRecord:
    """A silent host, with why it is down: what it said last of its trouble, or its silence."""
    trouble = record.trouble or "it has not reported lately"
    return record.evolve(state=HostState.DOWN, trouble=trouble)


def _new_host(report: HostReport, now: datetime) -> HostRecord:
    return HostRecord(
        id=report.id,
        name=report.name,
        inventory=report.inventory,
        hypervisor=report.hypervisor,
        virt_type=report.virt_type,
        created=now,
        updated=now,
    )


def _superseded(instance: InstanceId) -> Cancelled:
    return Cancelled(
        f"Instance {instance} was given no host: a newer operation has taken it over.",
        "SUPERSEDED",
    )
