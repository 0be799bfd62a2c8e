"""What is asked of a guest that runs, by way of its host's actor."""

import os
import pty
import tty
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.model.console import ConsoleKind
from actors.model.errors import Conflict, Unavailable
from actors.model.ids import InstanceId
from actors.model.operation import Action
from tests.local.cluster import LocalCluster, local_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


class LocalHost:
    """The host's actor, whichever it is by now."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster

    def __getattr__(self, method: str) -> Any:
        return getattr(self._cluster.actors["host1"], method)


async def running(cluster: LocalCluster) -> InstanceId:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    return made.instance.id


async def test_a_guest_is_looked_at(cluster: LocalCluster) -> None:
    host: Any = LocalHost(cluster)
    instance = await running(cluster)
    assert (await host.screenshot(instance)).content_type == "image/png"
    assert (await host.diagnostics(instance)).hypervisor == "test"
    with pytest.raises(Conflict) as none:
        await host.console_open(instance, ConsoleKind.SERIAL, False)
    assert none.value.reason == "CONSOLE_NOT_SUPPORTED"


async def test_a_guest_that_is_off_is_not(cluster: LocalCluster) -> None:
    host: Any = LocalHost(cluster)
    instance = await running(cluster)
    await cluster.ended((await cluster.act(instance, Action.STOP)).operation)
    for look in (host.screenshot, host.diagnostics):
        with pytest.raises(Conflict) as off:
            await look(instance)
        assert off.value.reason == "GUEST_NOT_RUNNING"


async def test_a_session_is_its_host_actors(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, port = pty.openpty()
    tty.setraw(port)
    path = os.ttyname(port)

    def opened(*_: object) -> int:
        return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    monkeypatch.setattr("actors.drivers.libvirt.hypervisor.LibvirtHypervisor.open_console", opened)
    host: Any = LocalHost(cluster)
    session = await host.console_open(await running(cluster), ConsoleKind.SERIAL, False)
    os.write(guest, b"login: ")
    assert await host.console_read(session, 30.0) == b"login: "
    await host.console_write(session, b"\r")
    old = cluster.actors["host1"]
    await cluster.crash("host1")
    old._consoles.close(session)  # as the kernel does for a process that ends
    for call in (host.console_read(session, 0.0), host.console_write(session, b"x")):
        with pytest.raises(Unavailable) as lost:
            await call
        assert lost.value.reason == "CONSOLE_LOST"
    await host.console_close(session)
    os.close(guest)
    os.close(port)
