"""Key pairs of all users: few, looked up at boots. Held in memory, written through.

The conductor writes them itself, under its own epoch.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from actors.model.errors import AlreadyExists, NotFound, QuotaExceeded
from actors.model.ids import UserId
from actors.model.keypair import KEYPAIR_LIMIT, ImportKeypair, Keypair, read_public_key
from actors.ports.store import Batch, Remove, Table
from actors.store.group import CONDUCTOR
from actors.store.sqlite import SqliteStore
from actors.store.tables import keypair_key, put_keypair


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Keypairs:
    """Made by ``load``."""

    def __init__(
        self,
        store: SqliteStore,
        keypairs: tuple[Keypair, ...],
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._store = store
        self._now = now
        self._held: dict[UserId, dict[str, Keypair]] = {}
        for keypair in keypairs:
            self._held.setdefault(keypair.user, {})[keypair.name] = keypair
        # Two imports at once: the second must see what the first did.
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def load(cls, store: SqliteStore) -> "Keypairs":
        """Read all from the store."""
        bodies = await store.load(Table.KEYPAIRS)
        return cls(store, tuple(Keypair.model_validate_json(body) for body in bodies))

    def of(self, user: UserId) -> tuple[Keypair, ...]:
        """A user's, by name."""
        return tuple(sorted(self._held.get(user, {}).values(), key=lambda pair: pair.name))

    async def import_keypair(self, command: ImportKeypair) -> Keypair:
        """Keep a public key.

        Raises:
            AlreadyExists: The user has another one of this name.
            QuotaExceeded: The user has as many as one may have.
            Invalid: It is no key.
        """
        key = read_public_key(command.public_key)
        async with self._one_at_a_time:
            held = self._held.get(command.user, {})
            known = held.get(command.name)
            if known is not None:
                if (known.request_id, known.public_key) == (command.request_id, key.line):
                    return known
                raise _name_taken(command)
            if len(held) >= KEYPAIR_LIMIT:
                raise QuotaExceeded(
                    f"User {command.user} has {len(held)} key pairs, as many as one may have. "
                    "Delete one first.",
                    "KEYPAIR_QUOTA_EXCEEDED",
                    "",
                    {"limit": str(KEYPAIR_LIMIT), "user": command.user},
                )
            keypair = Keypair(
                user=command.user,
                name=command.name,
                public_key=key.line,
                fingerprint=key.fingerprint,
                request_id=command.request_id,
                created=self._now(),
            )
            await self._store.commit(
                Batch(CONDUCTOR, self._store.epoch, puts=(put_keypair(keypair),))
            )
            self._held.setdefault(command.user, {})[command.name] = keypair
            return keypair

    async def delete_keypair(self, user: UserId, name: str) -> None:
        """Forget one.

        Raises:
            NotFound: The user has none of this name.
        """
        async with self._one_at_a_time:
            held = self._held.get(user, {})
            if name not in held:
                raise NotFound(
                    f"Key pair {name} could not be found.",
                    "KEYPAIR_NOT_FOUND",
                    "",
                    {"keypair": name},
                )
            removal = Remove(Table.KEYPAIRS, keypair_key(user, name))
            await self._store.commit(Batch(CONDUCTOR, self._store.epoch, removes=(removal,)))
            del held[name]


def _name_taken(command: ImportKeypair) -> AlreadyExists:
    return AlreadyExists(
        f"User {command.user} has a key pair called {command.name}. Choose another name, or "
        "delete that one first.",
        "KEYPAIR_EXISTS",
        "",
        {"keypair": command.name},
    )
