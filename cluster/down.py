"""``nova-manage down``: the control plane ends, guests and libvirt run on."""

import asyncio
from contextlib import suppress
from typing import Final

from cluster import ray_cluster
from cluster.config import Settings
from cluster.driver import joined
from cluster.lock import locked
from cluster.processes import Process
from cluster.progress import Progress
from cluster.trouble import Trouble

_GRACE_SECONDS: Final = 2.0
_FAREWELL_SECONDS: Final = 6.0


def down(settings: Settings, progress: Progress) -> int:
    """End this node's part of the control plane; how many processes that were.

    Raises:
        Trouble: Something does not end.
    """
    if not settings.run_dir.exists():
        return 0
    with locked(settings.run_dir):
        found = ray_cluster.ray_processes(settings)
        if not found:
            return 0
        if _has_gateway(found) and ray_cluster.runs(found, head=True):
            with progress.step("gateway"):
                _say_farewell(settings)
        with progress.step("actors and Ray") as step:
            ended = ray_cluster.end_node(settings)
            step.says(f"{ended} processes ended")
        return ended


def _has_gateway(found: tuple[Process, ...]) -> bool:
    return any("Gateway" in one.label for one in found)


def _say_farewell(settings: Settings) -> None:
    """Let calls in hand end. A gateway that does not answer ends with the rest."""

    async def stop() -> None:
        from actors.handles.remote import Remote
        from cluster.names import gateway_name

        async with asyncio.timeout(_FAREWELL_SECONDS):
            await Remote(gateway_name(settings.node_name)).call("stop", _GRACE_SECONDS)

    from actors.model.errors import ComputeError

    with suppress(Trouble, TimeoutError, ComputeError), joined(settings):
        asyncio.run(stop())
