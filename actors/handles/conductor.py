"""The conductor's handle: the store, the catalog and the tokens."""

from actors.handles.remote import CONDUCTOR, Grouped, Remote
from actors.model.flavor import Flavor
from actors.model.flavor_commands import ChangeFlavor, CreateFlavor
from actors.model.identity import Principal, TokenRecord
from actors.model.ids import FlavorId, HostId, InstanceId, OperationId, ProjectId, UserId
from actors.model.instance import InstanceRecord
from actors.model.keypair import ImportKeypair, Keypair
from actors.model.operation import OperationRecord
from actors.model.query import EventBatch
from actors.ports.store import Batch, Eviction, Table


class ConductorHandle:
    """Implements ``ports.store.Store``, and the part of ``ports.compute`` the conductor serves."""

    def __init__(self) -> None:
        self._actor = Remote(CONDUCTOR)
        self._commit: Grouped[Batch, None] = Grouped(self._actor, "commit_many")

    async def begin_epoch(self, writer: str) -> int:
        """As ``Store.begin_epoch``."""
        epoch: int = await self._actor.call("begin_epoch", writer)
        return epoch

    async def commit(self, batch: Batch) -> None:
        """As ``Store.commit``."""
        await self._commit(batch)

    async def load(self, table: Table) -> tuple[str, ...]:
        """As ``Store.load``."""
        bodies: tuple[str, ...] = await self._actor.call("load", table)
        return bodies

    async def find(self, table: Table, key: str) -> str | None:
        """As ``Store.find``."""
        body: str | None = await self._actor.call("find", table, key)
        return body

    async def load_partition(
        self, partition: int
    ) -> tuple[tuple[InstanceRecord, ...], tuple[OperationRecord, ...]]:
        """As ``Store.load_partition``."""
        loaded: tuple[
            tuple[InstanceRecord, ...], tuple[OperationRecord, ...]
        ] = await self._actor.call("load_partition", partition)
        return loaded

    async def load_operations(self, instance: InstanceId) -> tuple[OperationRecord, ...]:
        """As ``Store.load_operations``."""
        operations: tuple[OperationRecord, ...] = await self._actor.call(
            "load_operations", instance
        )
        return operations

    async def find_instance(self, instance: InstanceId) -> InstanceRecord | None:
        """As ``Store.find_instance``."""
        found: InstanceRecord | None = await self._actor.call("find_instance", instance)
        return found

    async def find_operation(self, operation: OperationId) -> OperationRecord | None:
        """As ``Store.find_operation``."""
        found: OperationRecord | None = await self._actor.call("find_operation", operation)
        return found

    async def find_request(self, project: ProjectId, request_id: str) -> OperationRecord | None:
        """As ``Store.find_request``."""
        found: OperationRecord | None = await self._actor.call("find_request", project, request_id)
        return found

    async def find_operations(
        self, project: ProjectId | None, before: tuple[str, str] | None, limit: int
    ) -> tuple[OperationRecord, ...]:
        """As ``Store.find_operations``."""
        found: tuple[OperationRecord, ...] = await self._actor.call(
            "find_operations", project, before, limit
        )
        return found

    async def events_after(self, sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        """As ``Store.events_after``."""
        batch: EventBatch = await self._actor.call("events_after", sequence, limit, wait_seconds)
        return batch

    async def evictions(self, host_id: HostId) -> tuple[Eviction, ...]:
        """What a host must remove when it returns."""
        evictions: tuple[Eviction, ...] = await self._actor.call("evictions", host_id)
        return evictions

    async def partitions(self) -> int:
        """How many InstanceActors share the instances."""
        partitions: int = await self._actor.call("partitions")
        return partitions

    async def flavors(self) -> tuple[Flavor, ...]:
        """All flavors, by memory."""
        flavors: tuple[Flavor, ...] = await self._actor.call("flavors")
        return flavors

    async def found_flavors(self, flavors: tuple[Flavor, ...]) -> None:
        """Give a new cluster its first flavors."""
        await self._actor.call("found_flavors", flavors)

    async def create_flavor(self, command: CreateFlavor) -> Flavor:
        """Add a flavor."""
        made: Flavor = await self._actor.call("create_flavor", command)
        return made

    async def change_flavor(self, command: ChangeFlavor) -> Flavor:
        """Change a flavor."""
        changed: Flavor = await self._actor.call("change_flavor", command)
        return changed

    async def delete_flavor(self, flavor: FlavorId) -> None:
        """Forget a flavor."""
        await self._actor.call("delete_flavor", flavor)

    async def ensure_flavor(self, flavor: Flavor) -> Flavor:
        """Make the flavor unless one with its id or name exists; that one is returned."""
        made: Flavor = await self._actor.call("ensure_flavor", flavor)
        return made

    async def principal(self, token_sha256: str) -> Principal | None:
        """Who holds the token with this checksum."""
        principal: Principal | None = await self._actor.call("principal", token_sha256)
        return principal

    async def ensure_token(self, token: TokenRecord) -> None:
        """Make a token known. The same again is no error."""
        await self._actor.call("ensure_token", token)

    async def revoke_token(self, sha256: str) -> None:
        """Forget a token. One that is not known is no error."""
        await self._actor.call("revoke_token", sha256)

    async def keypairs(self, user: UserId) -> tuple[Keypair, ...]:
        """A user's key pairs, by name."""
        keypairs: tuple[Keypair, ...] = await self._actor.call("keypairs", user)
        return keypairs

    async def import_keypair(self, command: ImportKeypair) -> Keypair:
        """Make a public key known under a name."""
        made: Keypair = await self._actor.call("import_keypair", command)
        return made

    async def delete_keypair(self, user: UserId, name: str) -> None:
        """Forget a key pair."""
        await self._actor.call("delete_keypair", user, name)
