"""What guests are told, at hand on their host."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from actors.model.guest_data import GuestData
from actors.model.instance import InstanceRecord
from actors.ports.store import HostStore, Table

if TYPE_CHECKING:
    from actors.model.ids import OperationId

#: Versions kept. One has up to 140 KiB; a guest reads its own within seconds of its boot.
_KEPT: Final = 64


class GuestShelf:
    """Reads a guest's data from the record, once while it is in use: a version never changes."""

    def __init__(self, store: HostStore) -> None:
        self._store = store
        self._found: OrderedDict[OperationId, GuestData] = OrderedDict()

    async def of(self, record: InstanceRecord) -> GuestData | None:
        """What this guest is told beside its record; None where there is nothing.

        Raises:
            Unavailable: The record cannot be read now.
        """
        key = record.told
        if key is None:
            return None
        data = self._found.pop(key, None)
        if data is None:
            text = await self._store.find(Table.GUEST_DATA, key)
            if text is None:  # replaced since: the record that was asked for is an old one
                return None
            data = GuestData.model_validate_json(text)
        self._found[key] = data
        while len(self._found) > _KEPT:
            self._found.popitem(last=False)
        return data
