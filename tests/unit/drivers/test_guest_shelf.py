"""What guests are told, read once from the record."""

from typing import cast

from actors.drivers.guest_shelf import _KEPT, GuestShelf
from actors.model.ids import OperationId
from actors.ports.store import HostStore, Table
from tests.unit.guestdata import guests


class Rows:
    """A store that counts what is asked of it."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.asked: list[str] = []

    async def find(self, table: Table, key: str) -> str | None:
        assert table is Table.GUEST_DATA
        self.asked.append(key)
        return self.rows.get(key)


async def test_a_version_is_read_once_and_an_old_one_forgotten() -> None:
    rows = Rows()
    shelf = GuestShelf(cast("HostStore", rows))
    record = guests.record()
    data = guests.data(record)
    rows.rows[data.id] = data.model_dump_json()
    assert await shelf.of(record) == data
    assert await shelf.of(record) == data
    assert rows.asked == [data.id]

    for number in range(2, _KEPT + 2):
        key = OperationId(f"{record.id}.{number}")
        rows.rows[key] = data.evolve(id=key).model_dump_json()
        await shelf.of(record.evolve(guest_data=key))
    assert await shelf.of(record) == data
    assert rows.asked.count(data.id) == 2


async def test_what_is_not_there_is_asked_for_again() -> None:
    rows = Rows()
    shelf = GuestShelf(cast("HostStore", rows))
    record = guests.record()
    assert await shelf.of(record) is None
    data = guests.data(record)
    rows.rows[data.id] = data.model_dump_json()
    assert await shelf.of(record) == data
    assert await shelf.of(record.evolve(guest_data=None)) is None
