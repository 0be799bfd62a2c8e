"""How a call is made: deadline, token, pages, and failures instead of gRPC errors."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.cli.channel import open_channel  # first: it prepares gRPC's import

# isort: split
import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grpc import UnaryUnaryMultiCallable as _Unary

    from gateway.cli.failures import Failure
    from gateway.cli.settings import Connection

Request = TypeVar("Request")
Response = TypeVar("Response")
Item = TypeVar("Item")

#: As many as the server gives at most.
PAGE: Final = 1000


class Calls:
    """One user's connection to one gateway. What is called stands in the classes over this one."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._metadata = (("authorization", f"Bearer {connection.token}"),)
        self._channel = open_channel(connection)

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def _call(
        self,
        method: _Unary[Request, Response],
        request: Request,
        timeout: float | None = None,
    ) -> Response:
        try:
            return method(request, timeout=timeout or self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise failure_of(error, self._connection.endpoint) from error


def failure_of(error: grpc.RpcError, endpoint: str) -> Failure:
    """What a person is told of a call that failed."""
    # Its imports cost time that a call which goes well need not spend.
    from gateway.cli.statuses import failure_of_call

    return failure_of_call(error, endpoint)


def pages(
    fetch: Callable[[str, int], tuple[list[Item], str]], limit: int | None = None
) -> Iterator[Item]:
    """All items of a list, at most so many; pages are fetched as they are needed."""

    def every() -> Iterator[Item]:
        token = ""
        while True:
            items, token = fetch(token, PAGE if limit is None else min(PAGE, limit))
            yield from items
            if not token:
                return

    return itertools.islice(every(), limit)
