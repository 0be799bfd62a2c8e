"""How an actor is called: by name, once or in groups. The only module that calls Ray's actors.

A handle is a value: it knows an actor's name, finds the actor when it is first used, and travels
to other actors by pickle.

What gathers while a handle's last call is under way goes out in one next call (``Group``): nothing
waits when there is no load, and under load many operations share one hop.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import ray
from ray import exceptions

from actors.model.errors import ComputeError, Internal, Unavailable
from actors.model.reply import Err, Reply, unwrap

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_log: Final = logging.getLogger(__name__)

#: The Ray namespace all our actors live in.
NAMESPACE: Final = "novaray"

CONDUCTOR: Final = "conductor"
SCHEDULER: Final = "scheduler"
NETWORK: Final = "network"
IMAGES: Final = "images"
VOLUMES: Final = "volumes"

#: The largest group: an answer to one item waits for the whole group.
_GROUP_LIMIT: Final = 128

Item = TypeVar("Item")
Value = TypeVar("Value")


def instances_name(partition: int) -> str:
    """The Ray name of a partition's InstanceActor."""
    return f"instances/{partition}"


def host_name(host_id: str) -> str:
    """The Ray name of a host's HostActor: by UUID, since a host's own name may change."""
    return f"host/{host_id}"


class Remote:
    """An actor by name. Finding it is a call to Ray's GCS, so it is done once, in a thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: ActorHandle[Any] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name,)

    async def call(self, method: str, *args: object) -> Any:  # noqa: ANN401 - each caller knows
        """Call a method once. What Ray raises becomes one of our errors.

        Raises:
            Unavailable: The actor is not there, or it, its node or Ray failed while it served the
                call: nothing is known about the call's effect.
            ComputeError: What the method raised.
        """
        try:
            actor = self._found or await self._find()
            return await getattr(actor, method).remote(*args)
        except ComputeError:
            raise
        except exceptions.RayTaskError as error:
            raise _cause(error) from None
        except exceptions.UnserializableException as error:
            raise _internal(repr(error)) from None
        except exceptions.RayError as error:
            raise self._away(error) from None
        except Exception as error:
            _log.exception("calling %s of %s met a bug", method, self.name)
            raise _internal(repr(error)) from error

    async def _find(self) -> "ActorHandle[Any]":
        try:
            self._found = await asyncio.to_thread(ray.get_actor, self.name, NAMESPACE)
        except ValueError as error:
            # How Ray says that it knows no actor of this name.
            raise self._away(error) from None
        return self._found

    def _away(self, error: Exception) -> Unavailable:
        self._found = None
        return Unavailable(
            f"{_label(self.name)} is away. The operation goes on when it is back.",
            "ACTOR_UNAVAILABLE",
            f"{self.name}: {type(error).__name__}: {str(error)[:300]}",
            {"actor": self.name},
        )


def _label(name: str) -> str:
    kind, _, which = name.partition("/")
    return f"The {kind} actor {which}".rstrip()


def _cause(error: exceptions.RayTaskError) -> ComputeError:
    cause = error.cause
    if isinstance(cause, ComputeError):
        return cause
    return _internal(str(error)[:2000])


def _internal(detail: str) -> Internal:
    return Internal("An internal error occurred.", "INTERNAL", detail)


class Group(Generic[Item, Value]):
    """Calls of one kind to one actor, gathered while the last of them is under way."""

    def __init__(
        self, send: Callable[[tuple[Item, ...]], Awaitable[Sequence[Reply[Value]]]]
    ) -> None:
        self._send = send
        self._waiting: list[tuple[Item, asyncio.Future[Reply[Value]]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def call(self, item: Item) -> Value:
        """Send one item with the next group, and wait for its own answer.

        Raises:
            ComputeError: The answer is an error, or the group's call failed.
        """
        answer: asyncio.Future[Reply[Value]] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._drain())
        return unwrap(await answer)

    async def _drain(self) -> None:
        while self._waiting:
            # Whose caller has given up meanwhile is not sent: nobody expects it to act any more.
            wanted = [one for one in self._waiting if not one[1].done()]
            group, self._waiting = wanted[:_GROUP_LIMIT], wanted[_GROUP_LIMIT:]
            replies = await self._answers(tuple(item for item, _ in group))
            for (_, answer), reply in zip(group, replies, strict=True):
                if not answer.done():  # its caller may have been cancelled
                    answer.set_result(reply)

    async def _answers(self, items: tuple[Item, ...]) -> Sequence[Reply[Value]]:
        if not items:
            return ()
        try:
            replies = await self._send(items)
        except ComputeError as error:
            return [Err(error)] * len(items)
        except Exception as error:  # noqa: BLE001 - a waiter must never be left without an answer
            return [Err(_internal(repr(error)))] * len(items)
        if len(replies) != len(items):
            return [Err(_internal(f"{len(replies)} answers to {len(items)} items"))] * len(items)
        return replies


class Grouped(Generic[Item, Value]):
    """A method of an actor that takes many items in one call."""

    def __init__(self, remote: Remote, method: str) -> None:
        self._remote = remote
        self._method = method
        self._group: Group[Item, Value] = Group(self._send)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._remote, self._method)

    async def __call__(self, item: Item) -> Value:
        """Send the item with the next group."""
        return await self._group.call(item)

    async def _send(self, items: tuple[Item, ...]) -> Sequence[Reply[Value]]:
        replies: Sequence[Reply[Value]] = await self._remote.call(self._method, items)
        return replies
