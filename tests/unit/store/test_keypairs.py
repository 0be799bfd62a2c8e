"""Key pairs over SQLite."""

import asyncio

import pytest

from actors.model.errors import AlreadyExists, NotFound, QuotaExceeded
from actors.model.ids import RequestId, UserId
from actors.model.keypair import KEYPAIR_LIMIT, ImportKeypair, Keypair
from actors.store.keypairs import Keypairs
from actors.store.sqlite import SqliteStore
from tests.unit.store.records import NOON

ANN, BOB = UserId("ann"), UserId("domain/bob")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


def importing(name: str, user: UserId = ANN, request: str = "r", key: str = KEY) -> ImportKeypair:
    return ImportKeypair(user=user, name=name, request_id=RequestId(request), public_key=key)


@pytest.fixture
async def keypairs(store: SqliteStore) -> Keypairs:
    return Keypairs(store, (), lambda: NOON)


async def test_they_are_kept(keypairs: Keypairs, store: SqliteStore) -> None:
    made = [await keypairs.import_keypair(importing(*of)) for of in (("b",), ("a",), ("a", BOB))]
    assert made[0] == Keypair(
        user=ANN,
        name="b",
        public_key=KEY,
        fingerprint="0f:a2:0a:d7:38:3e:65:45:08:6b:63:84:1c:ff:dc:ba",
        request_id=RequestId("r"),
        created=NOON,
    )
    await keypairs.delete_keypair(ANN, "b")
    for held in (keypairs, await Keypairs.load(store)):
        assert held.of(ANN) == (made[1],)
        assert held.of(BOB) == (made[2],)
        with pytest.raises(NotFound):
            await held.delete_keypair(ANN, "b")


async def test_a_name_is_used_once(keypairs: Keypairs) -> None:
    made = await keypairs.import_keypair(importing("a", request="1"))
    # Its answer was lost, so it is sent again.
    assert await keypairs.import_keypair(importing("a", request="1", key=f" {KEY}\n")) == made
    for again in (importing("a", request="2"), importing("a", request="1", key=f"{KEY} me")):
        with pytest.raises(AlreadyExists):
            await keypairs.import_keypair(again)
    await keypairs.delete_keypair(ANN, "a")
    await keypairs.import_keypair(importing("a", request="2"))


async def test_a_user_has_so_many_also_when_all_come_at_once(keypairs: Keypairs) -> None:
    commands = [importing(str(number)) for number in range(KEYPAIR_LIMIT + 3)]
    results = await asyncio.gather(
        *(keypairs.import_keypair(command) for command in commands), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, QuotaExceeded)]
    assert (len(refused), len(keypairs.of(ANN))) == (3, KEYPAIR_LIMIT)
    await keypairs.import_keypair(importing("mine", BOB))
