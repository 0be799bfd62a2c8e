"""This process as a part of the Ray cluster, for as long as a command needs it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from cluster import ray_cluster
from cluster.config import Settings
from cluster.member import facing, head_address
from cluster.processes import can_connect
from cluster.ray_environment import apply_ray_environment
from cluster.trouble import Trouble

_CALL_SECONDS: Final = 60.0

Value = TypeVar("Value")


@contextmanager
def joined(settings: Settings, head: str = "") -> Iterator[None]:
    """Be a driver of the cluster that this node belongs to, or of this head's.

    Raises:
        Trouble: It does not run, or would not have us.
    """
    address = head or head_address(settings)
    if address != settings.ray_address:
        settings = facing(settings, address)
    if not ray_cluster.runs(ray_cluster.ray_processes(settings), head=False):
        raise Trouble(
            "novaray does not run on this node.", "Run: nova-manage up, or nova-manage host join."
        )
    # Ray would try for minutes.
    if why := can_connect(address):
        raise Trouble(
            f"The head of the cluster, {address}, does not answer: {why}.",
            "Run nova-manage up there.",
        )
    apply_ray_environment(settings, address)
    # Ray reads its environment when it is imported.
    import ray

    from actors.handles.remote import NAMESPACE

    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address=settings.node_address,
        )
    except Exception as error:
        raise Trouble(
            f"The Ray cluster at {address} does not take us: {_sentence(error)}",
            "Run nova-manage status for what runs here.",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def ask(settings: Settings, question: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
    """Join the cluster, ask it, and leave.

    Raises:
        Trouble: It does not run, or does not answer in time.
    """

    async def within_time() -> Value:
        async with asyncio.timeout(_CALL_SECONDS):
            return await question()

    with joined(settings):
        try:
            return asyncio.run(within_time())
        except TimeoutError:
            raise Trouble(
                f"The cluster did not answer within {_CALL_SECONDS:.0f} s.",
                f"The actors' logs are in {ray_cluster.logs_dir(settings)}.",
            ) from None


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".") + "."
