"""Flavors and tokens: few, asked for often, changed seldom. Held in memory, written through.

The conductor writes them itself, under its own epoch.
"""

import asyncio

from actors.model.errors import AlreadyExists, NotFound
from actors.model.flavor import Flavor
from actors.model.flavor_commands import ChangeFlavor, CreateFlavor, changed
from actors.model.identity import Principal, TokenRecord
from actors.model.ids import FlavorId
from actors.ports.store import Batch, Put, Remove, Table
from actors.store.group import CONDUCTOR
from actors.store.sqlite import SqliteStore
from actors.store.tables import put_flavor, put_token


class Catalog:
    """Made by ``load``."""

    def __init__(
        self, store: SqliteStore, flavors: tuple[Flavor, ...], tokens: tuple[TokenRecord, ...]
    ) -> None:
        self._store = store
        self._flavors = {flavor.id: flavor for flavor in flavors}
        self._tokens = {token.sha256: token for token in tokens}
        # Two who ensure the same thing at once: the second must see what the first did.
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def load(cls, store: SqliteStore) -> "Catalog":
        """Read all from the store."""
        flavors = await store.load(Table.FLAVORS)
        tokens = await store.load(Table.TOKENS)
        return cls(
            store,
            tuple(Flavor.model_validate_json(body) for body in flavors),
            tuple(TokenRecord.model_validate_json(body) for body in tokens),
        )

    def flavors(self) -> tuple[Flavor, ...]:
        """All flavors, by memory, then by name."""
        return tuple(sorted(self._flavors.values(), key=lambda f: (f.memory_mb, f.name)))

    async def found_flavors(self, flavors: tuple[Flavor, ...]) -> None:
        """Give a new cluster its first flavors. Where there is one already, nothing is done.

        So a default that an administrator deletes stays deleted.
        """
        async with self._one_at_a_time:
            if self._flavors:
                return
            await self._write(*(put_flavor(flavor) for flavor in flavors))
            self._flavors = {flavor.id: flavor for flavor in flavors}

    async def create_flavor(self, command: CreateFlavor) -> Flavor:
        """Add a flavor.

        Raises:
            AlreadyExists: Its id or its name belongs to another flavor.
        """
        flavor = command.flavor
        async with self._one_at_a_time:
            for other in self._flavors.values():
                if other.request_id == flavor.request_id and other == flavor.evolve(
                    generation=other.generation
                ):
                    return other
                if other.id == flavor.id or other.name == flavor.name:
                    raise _flavor_exists(other)
            await self._write(put_flavor(flavor))
            self._flavors[flavor.id] = flavor
            return flavor

    async def change_flavor(self, command: ChangeFlavor) -> Flavor:
        """Change a flavor; the same again changes nothing. Instances keep their copies.

        Raises:
            NotFound: There is none with this id.
            Invalid: The extra specs do not go together.
            Conflict: Access to a public flavor was to be changed.
        """
        async with self._one_at_a_time:
            before = self._flavors.get(command.id)
            if before is None:
                raise _no_flavor(command.id)
            after = changed(before, command)
            if after != before:
                after = after.evolve(generation=before.generation + 1)
                await self._write(put_flavor(after))
                self._flavors[after.id] = after
            return after

    async def delete_flavor(self, flavor: FlavorId) -> None:
        """Forget a flavor. Instances keep their copies.

        Raises:
            NotFound: There is none with this id.
        """
        async with self._one_at_a_time:
            if flavor not in self._flavors:
                raise _no_flavor(flavor)
            await self._store.commit(
                Batch(CONDUCTOR, self._store.epoch, removes=(Remove(Table.FLAVORS, flavor),))
            )
            del self._flavors[flavor]

    async def ensure_flavor(self, flavor: Flavor) -> Flavor:
        """Add the flavor unless it exists; the existing one is returned unchanged.

        Raises:
            AlreadyExists: Its id or its name belongs to another flavor.
        """
        async with self._one_at_a_time:
            for other in self._flavors.values():
                if (other.id, other.name) == (flavor.id, flavor.name):
                    return other
                if other.id == flavor.id or other.name == flavor.name:
                    raise _flavor_exists(other)
            flavor = flavor.evolve(generation=1)
            await self._write(put_flavor(flavor))
            self._flavors[flavor.id] = flavor
            return flavor

    def principal(self, sha256: str) -> Principal | None:
        """Who holds the token, or None where nobody knows it."""
        token = self._tokens.get(sha256)
        if token is None:
            return None
        return Principal(user=token.user, project=token.project, role=token.role)

    async def ensure_token(self, token: TokenRecord) -> None:
        """Let the token stand for this user, project and role from now on."""
        async with self._one_at_a_time:
            known = self._tokens.get(token.sha256)
            if known is not None:
                # The time it was first made stays.
                token = token.evolve(created=known.created, generation=known.generation)
                if token == known:
                    return
            token = token.evolve(generation=known.generation + 1 if known else 1)
            await self._write(put_token(token))
            self._tokens[token.sha256] = token

    async def revoke_token(self, sha256: str) -> None:
        """Forget the token. One that is not known is no error."""
        async with self._one_at_a_time:
            await self._store.commit(
                Batch(CONDUCTOR, self._store.epoch, removes=(Remove(Table.TOKENS, sha256),))
            )
            self._tokens.pop(sha256, None)

    async def _write(self, *puts: Put) -> None:
        await self._store.commit(Batch(CONDUCTOR, self._store.epoch, puts=puts))


def _flavor_exists(other: Flavor) -> AlreadyExists:
    return AlreadyExists(
        f"Flavor {other.name} ({other.id}) exists: id or name is taken.",
        "FLAVOR_EXISTS",
        "",
        {"flavor": other.id},
    )


def _no_flavor(flavor: FlavorId) -> NotFound:
    return NotFound(
        f"Flavor {flavor} could not be found.", "FLAVOR_NOT_FOUND", "", {"flavor": flavor}
    )
