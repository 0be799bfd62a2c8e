"""The ConductorActor: what stands between every other part and the database.

The only process that writes the SQLite file. A thin shell: the work is in ``actors.store``.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ray

from actors.model.flavor import Flavor
from actors.model.flavor_commands import ChangeFlavor, CreateFlavor
from actors.model.identity import Principal, TokenRecord
from actors.model.ids import FlavorId, HostId, InstanceId, OperationId, ProjectId, UserId
from actors.model.instance import InstanceRecord
from actors.model.keypair import ImportKeypair, Keypair
from actors.model.operation import OperationRecord
from actors.model.query import EventBatch
from actors.model.reply import Reply
from actors.ports.store import Batch, Eviction, Table
from actors.store.catalog import Catalog
from actors.store.keypairs import Keypairs
from actors.store.sqlite import KEEP_EVENTS, SqliteStore

_SWITCH_SECONDS: Final = 0.0002


@dataclass(frozen=True, slots=True)
class _Opened:
    """What there is once the database is open."""

    store: SqliteStore
    catalog: Catalog
    keypairs: Keypairs


class ConductorActor:
    """One for a cluster, on the node that has the file. Answers as ``actors.ports.store.Store``."""

    def __init__(self, path: str, partitions: int, keep_events: int = KEEP_EVENTS) -> None:
        self._path = Path(path)
        self._partitions = partitions
        self._keep_events = keep_events
        # SQLite lets go of the interpreter at every row, and gets it back from a busy event loop
        # only after this interval. Beside a loop that never rests, one commit in a hundred took
        # 12 s with Python's 5 ms; with this 16 ms, and 0.5 s when other processes had the cores.
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._opening = asyncio.create_task(self._open(), name="conductor: open")

    def __repr__(self) -> str:
        return f"Conductor({self._path})"

    @ray.method
    async def commit_many(self, batches: tuple[Batch, ...]) -> tuple[Reply[None], ...]:
        """Commit each batch; errors are answers, one for each."""
        return await (await self._opened()).store.commit_many(batches)

    @ray.method
    async def commit(self, batch: Batch) -> None:
        """As ``Store.commit``."""
        await (await self._opened()).store.commit(batch)

    @ray.method
    async def begin_epoch(self, writer: str) -> int:
        """As ``Store.begin_epoch``."""
        return await (await self._opened()).store.begin_epoch(writer)

    @ray.method
    async def load(self, table: Table) -> tuple[str, ...]:
        """As ``Store.load``."""
        return await (await self._opened()).store.load(table)

    @ray.method
    async def find(self, table: Table, key: str) -> str | None:
        """As ``Store.find``."""
        return await (await self._opened()).store.find(table, key)

    @ray.method
    async def load_partition(
        self, partition: int
    ) -> tuple[tuple[InstanceRecord, ...], tuple[OperationRecord, ...]]:
        """As ``Store.load_partition``."""
        return await (await self._opened()).store.load_partition(partition)

    @ray.method
    async def load_operations(self, instance: InstanceId) -> tuple[OperationRecord, ...]:
        """As ``Store.load_operations``."""
        return await (await self._opened()).store.load_operations(instance)

    @ray.method
    async def find_instance(self, instance: InstanceId) -> InstanceRecord | None:
        """As ``Store.find_instance``."""
        return await (await self._opened()).store.find_instance(instance)

    @ray.method
    async def find_operation(self, operation: OperationId) -> OperationRecord | None:
        """As ``Store.find_operation``."""
        return await (await self._opened()).store.find_operation(operation)

    @ray.method
    async def find_request(self, project: ProjectId, request_id: str) -> OperationRecord | None:
        """As ``Store.find_request``."""
        return await (await self._opened()).store.find_request(project, request_id)

    @ray.method
    async def find_operations(
        self, project: ProjectId | None, before: tuple[str, str] | None, limit: int
    ) -> tuple[OperationRecord, ...]:
        """As ``Store.find_operations``."""
        return await (await self._opened()).store.find_operations(project, before, limit)

    @ray.method
    async def events_after(self, sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        """As ``Store.events_after``."""
        return await (await self._opened()).store.events_after(sequence, limit, wait_seconds)

    @ray.method
    async def evictions(self, host_id: HostId) -> tuple[Eviction, ...]:
        """What a host must remove when it returns."""
        return await (await self._opened()).store.evictions(host_id)

    @ray.method
    async def partitions(self) -> int:
        """How many InstanceActors share the instances."""
        return (await self._opened()).store.partitions

    @ray.method
    async def flavors(self) -> tuple[Flavor, ...]:
        """All flavors, by memory."""
        return (await self._opened()).catalog.flavors()

    @ray.method
    async def found_flavors(self, flavors: tuple[Flavor, ...]) -> None:
        """As ``Catalog.found_flavors``."""
        await (await self._opened()).catalog.found_flavors(flavors)

    @ray.method
    async def create_flavor(self, command: CreateFlavor) -> Flavor:
        """As ``Catalog.create_flavor``."""
        return await (await self._opened()).catalog.create_flavor(command)

    @ray.method
    async def change_flavor(self, command: ChangeFlavor) -> Flavor:
        """As ``Catalog.change_flavor``."""
        return await (await self._opened()).catalog.change_flavor(command)

    @ray.method
    async def delete_flavor(self, flavor: FlavorId) -> None:
        """As ``Catalog.delete_flavor``."""
        await (await self._opened()).catalog.delete_flavor(flavor)

    @ray.method
    async def ensure_flavor(self, flavor: Flavor) -> Flavor:
        """As ``Catalog.ensure_flavor``."""
        return await (await self._opened()).catalog.ensure_flavor(flavor)

    @ray.method
    async def principal(self, token_sha256: str) -> Principal | None:
        """As ``Catalog.principal``."""
        return (await self._opened()).catalog.principal(token_sha256)

    @ray.method
    async def ensure_token(self, token: TokenRecord) -> None:
        """As ``Catalog.ensure_token``."""
        await (await self._opened()).catalog.ensure_token(token)

    @ray.method
    async def revoke_token(self, sha256: str) -> None:
        """As ``Catalog.revoke_token``."""
        await (await self._opened()).catalog.revoke_token(sha256)

    @ray.method
    async def keypairs(self, user: UserId) -> tuple[Keypair, ...]:
        """As ``ports.compute.Keypairs.keypairs``."""
        return (await self._opened()).keypairs.of(user)

    @ray.method
    async def import_keypair(self, command: ImportKeypair) -> Keypair:
        """As ``ports.compute.Keypairs.import_keypair``."""
        return await (await self._opened()).keypairs.import_keypair(command)

    @ray.method
    async def delete_keypair(self, user: UserId, name: str) -> None:
        """As ``ports.compute.Keypairs.delete_keypair``."""
        await (await self._opened()).keypairs.delete_keypair(user, name)

    @ray.method
    async def close(self) -> None:
        """Finish what was begun, and close the database. The actor is of no use afterwards."""
        await (await self._opened()).store.close()

    async def _opened(self) -> _Opened:
        opening = self._opening
        if opening.done() and (opening.cancelled() or opening.exception() is not None):
            # A full disk, a file that was locked: the next caller finds out whether it has passed.
            self._opening = asyncio.create_task(self._open(), name="conductor: open")
        # A caller that is cancelled must not take the others' conductor along.
        return await asyncio.shield(self._opening)

    async def _open(self) -> _Opened:
        store = await SqliteStore.open(self._path, self._partitions, self._keep_events)
        try:
            catalog = await Catalog.load(store)
            keypairs = await Keypairs.load(store)
        except BaseException:
            await store.close()
            raise
        return _Opened(store, catalog, keypairs)
