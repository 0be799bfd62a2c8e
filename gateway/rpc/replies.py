"""Pages as replies: as many items as fit into one message."""

from collections.abc import Callable
from typing import Final, TypeVar

from google.protobuf.message import Message

from gateway.app.pages import Listed

Item = TypeVar("Item")
Sent = TypeVar("Sent", bound=Message)

#: Clients take 4 MiB by default; tags, lengths and the token need a little of it.
_ROOM: Final = 4 * 1024 * 1024 - 64 * 1024


def fitting(listed: Listed[Item], translate: Callable[[Item], Sent]) -> tuple[list[Sent], str]:
    """The page's messages and the token of the next page.

    A page that is too large for one message is cut; the token goes on where it was cut (AIP-158: a
    server may answer with fewer than asked for). The first item is always sent.
    """
    messages: list[Sent] = []
    room = _ROOM
    for index, item in enumerate(listed.items):
        message = translate(item)
        room -= message.ByteSize()
        if room < 0 and messages:
            return messages, listed.token_after(listed.items[index - 1])
        messages.append(message)
    more = listed.more and bool(listed.items)
    return messages, listed.token_after(listed.items[-1]) if more else ""
