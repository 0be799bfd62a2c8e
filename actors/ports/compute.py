"""All the gateway needs of the cluster.

The gateway sees these protocols only, so it is tested without Ray.
"""

from typing import Protocol

from actors.model.commands import CreateInstance, InstanceCommand
from actors.model.console import ConsoleKind, ConsoleSession, Screenshot
from actors.model.diagnostics import Diagnostics
from actors.model.edits import InstanceEdit
from actors.model.flavor import Flavor
from actors.model.flavor_commands import ChangeFlavor, CreateFlavor
from actors.model.host import HostUsage
from actors.model.identity import Principal
from actors.model.ids import FlavorId, InstanceId, OperationId, UserId
from actors.model.image import Image
from actors.model.instance import InstanceRecord
from actors.model.keypair import ImportKeypair, Keypair
from actors.model.operation import OperationRecord
from actors.model.query import (
    Accepted,
    ConsoleOutput,
    EventBatch,
    InstanceQuery,
    OperationQuery,
    Page,
)
from actors.ports.images import Images
from actors.ports.network import Networks
from actors.ports.volumes import Volumes


class Instances(Protocol):
    """Every instance of the cluster, whichever actor owns it.

    Ids are not checked against a project here.
    """

    async def create(self, command: CreateInstance) -> Accepted:
        """Durable when it returns. The same request id returns the first try's answer.

        Raises:
            AlreadyExists: The request id was used for something else.
        """
        ...

    async def submit(self, command: InstanceCommand) -> Accepted:
        """Durable when it returns.

        Raises:
            NotFound: No such instance in the command's project.
            Conflict: Its state forbids the action.
            Stale: Its generation is not the one the command names.
            AlreadyExists: The request id was used for something else.
        """
        ...

    async def edit(self, edit: InstanceEdit) -> InstanceRecord:
        """Durable when it returns; the instance as it became. Repeating it is harmless.

        Raises:
            NotFound: No such instance in the edit's project.
            Conflict: A lock or its state forbids it.
            Forbidden: Only an admin may.
            Stale: Its generation is not the one the edit names.
        """
        ...

    async def get(self, instance: InstanceId) -> InstanceRecord:
        """One instance.

        Raises:
            NotFound: No such instance, or it is deleted.
        """
        ...

    async def list(self, query: InstanceQuery) -> Page[InstanceRecord]:
        """A page, newest first."""
        ...

    async def operation(self, operation: OperationId) -> OperationRecord:
        """One operation, also after its instance is gone.

        Raises:
            NotFound: No such operation.
        """
        ...

    async def operations(self, query: OperationQuery) -> Page[OperationRecord]:
        """A page, newest first."""
        ...

    async def cancel(self, operation: OperationId) -> OperationRecord:
        """Ask an operation to end early and undo itself.

        One that has ended is returned as it is.
        """
        ...

    async def console_output(self, instance: InstanceId, offset: int, limit: int) -> ConsoleOutput:
        """A piece of the console log (bytes; a negative offset counts from the end)."""
        ...

    async def events_after(self, sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        """As ``Store.events_after``."""
        ...


class Catalog(Protocol):
    """Flavors and images, which change seldom."""

    async def flavors(self) -> tuple[Flavor, ...]:
        """All flavors, by memory."""
        ...

    async def create_flavor(self, command: CreateFlavor) -> Flavor:
        """Durable when it returns. The same request has the same answer.

        Raises:
            AlreadyExists: Its id or its name belongs to another flavor.
        """
        ...

    async def change_flavor(self, command: ChangeFlavor) -> Flavor:
        """Durable when it returns; what is so already is no error. Instances keep their copies.

        Raises:
            NotFound: There is none with this id.
            Invalid: The extra specs do not go together.
            Conflict: Access to a public flavor was to be changed.
        """
        ...

    async def delete_flavor(self, flavor: FlavorId) -> None:
        """Durable when it returns. Instances keep their copies.

        Raises:
            NotFound: There is none with this id.
        """
        ...

    async def images(self) -> tuple[Image, ...]:
        """All images, newest first."""
        ...


class Keypairs(Protocol):
    """Public keys, by user and name."""

    async def keypairs(self, user: UserId) -> tuple[Keypair, ...]:
        """A user's, by name."""
        ...

    async def import_keypair(self, command: ImportKeypair) -> Keypair:
        """Durable when it returns. The same request id with the same key has the same answer.

        Raises:
            AlreadyExists: The user has another one of this name.
            QuotaExceeded: The user has as many as one may have.
        """
        ...

    async def delete_keypair(self, user: UserId, name: str) -> None:
        """Durable when it returns. Instances keep the copy they were made with.

        Raises:
            NotFound: The user has none of this name.
        """
        ...


class Guests(Protocol):
    """What is asked of a guest that runs, at its host."""

    async def attach(
        self, record: InstanceRecord, kind: ConsoleKind, force: bool
    ) -> ConsoleSession:
        """Attach to a console.

        Raises:
            Conflict: The guest does not run, has no such console, or somebody is attached.
            Exhausted: There are too many sessions.
        """
        ...

    async def read(self, session: ConsoleSession, wait_seconds: float) -> bytes:
        """As ``Host.console_read``."""
        ...

    async def write(self, session: ConsoleSession, data: bytes) -> None:
        """As ``Host.console_write``."""
        ...

    async def detach(self, session: ConsoleSession) -> None:
        """As ``Host.console_close``."""
        ...

    async def screenshot(self, record: InstanceRecord) -> Screenshot:
        """As ``Host.screenshot``."""
        ...

    async def diagnostics(self, record: InstanceRecord) -> Diagnostics:
        """As ``Host.diagnostics``."""
        ...


class Fleet(Protocol):
    """The hosts."""

    async def hosts(self) -> tuple[HostUsage, ...]:
        """All hosts, by name."""
        ...


class Identity(Protocol):
    """Who holds a token."""

    async def principal(self, token_sha256: str) -> Principal | None:
        """The holder, or None where nobody knows the token."""
        ...


class Compute(Protocol):
    """The cluster, as the gateway sees it."""

    @property
    def instances(self) -> Instances:
        """Instances and their operations."""
        ...

    @property
    def catalog(self) -> Catalog:
        """Flavors and images."""
        ...

    @property
    def keypairs(self) -> Keypairs:
        """Public keys."""
        ...

    @property
    def images(self) -> Images:
        """Images and their bytes."""
        ...

    @property
    def volumes(self) -> Volumes:
        """Volumes and their snapshots."""
        ...

    @property
    def networks(self) -> Networks:
        """Networks, and who has which address on them."""
        ...

    @property
    def guests(self) -> Guests:
        """Guests that run."""
        ...

    @property
    def fleet(self) -> Fleet:
        """Hosts."""
        ...

    @property
    def identity(self) -> Identity:
        """Tokens."""
        ...
