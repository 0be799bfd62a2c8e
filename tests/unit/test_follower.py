"""The chore that keeps a host's networks as the NetworkActor has them."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from actors.hostnet.follower import GAP_SECONDS, Follower
from actors.hostnet.no_network import NoNetwork
from actors.model.errors import HypervisorRefused, Unavailable
from actors.model.host_view import HostPresence, HostView
from actors.model.ids import HostId
from actors.ports.hypervisor import HostNetwork
from tests.fakes.clock import FakeClock
from tests.fakes.memory_host_network import MemoryHostNetwork
from tests.local.records import instance


class Asked:
    """A call that waits for its answer."""

    def __init__(self, presence: HostPresence) -> None:
        self.presence = presence
        self.answer: asyncio.Future[HostView] = asyncio.get_running_loop().create_future()


class ScriptedNetworks:
    """A NetworkActor that answers when a test says so."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Asked] = asyncio.Queue()

    async def watch(self, presence: HostPresence) -> HostView:
        asked = Asked(presence)
        self.calls.put_nowait(asked)
        return await asked.answer

    async def next(self) -> Asked:
        async with asyncio.timeout(30):
            return await self.calls.get()


def view(version: str) -> HostView:
    return HostView(version=version)


@asynccontextmanager
async def following(local: HostNetwork) -> AsyncIterator[tuple[ScriptedNetworks, FakeClock]]:
    networks, clock = ScriptedNetworks(), FakeClock()
    with ThreadPoolExecutor(1) as threads:
        follower = Follower(HostId("h"), "host", networks, local, threads, clock)
        task = asyncio.create_task(follower.run())
        try:
            yield networks, clock
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_what_is_answered_is_followed_and_said_to_be_seen() -> None:
    local = MemoryHostNetwork()
    async with following(local) as (networks, clock):
        begun = clock.monotonic()
        first = await networks.next()
        assert first.presence.seen == ""
        assert first.presence.tunnel_address == local.tunnel_address
        first.answer.set_result(view("1"))
        second = await networks.next()
        assert second.presence.seen == "1"
        second.answer.set_result(view("1"))
        third = await networks.next()
        assert third.presence.seen == "1"
        assert local.followed == [view("1")], "once"
        assert clock.monotonic() - begun >= 2 * GAP_SECONDS


async def test_a_guest_that_comes_is_told_at_once_and_the_answer_counts() -> None:
    local = MemoryHostNetwork()
    async with following(local) as (networks, _):
        (await networks.next()).answer.set_result(view("1"))
        waiting = await networks.next()
        local.ensure(instance())
        told = await networks.next()
        assert waiting.answer.cancelled() or not waiting.answer.done()
        assert told.presence.seen == "", "what was followed may be gone with a guest"
        told.answer.set_result(view("1"))
        assert (await networks.next()).presence.seen == "1"
        assert local.followed == [view("1")] * 2


async def test_while_the_network_actor_is_away_all_stays_and_is_tried_again() -> None:
    local = MemoryHostNetwork()
    async with following(local) as (networks, _):
        (await networks.next()).answer.set_result(view("1"))
        for _ in range(4):
            (await networks.next()).answer.set_exception(Unavailable("away"))
        back = await networks.next()
        assert back.presence.seen == "1"
        assert local.followed == [view("1")]


async def test_what_the_host_refuses_is_not_seen_yet() -> None:
    local = MemoryHostNetwork()
    local.trouble = HypervisorRefused("no")
    async with following(local) as (networks, _):
        (await networks.next()).answer.set_result(view("1"))
        again = await networks.next()
        assert again.presence.seen == ""
        local.trouble = None
        again.answer.set_result(view("1"))
        assert (await networks.next()).presence.seen == "1"
        assert local.followed == [view("1")]


async def test_a_bug_does_not_end_it() -> None:
    async with following(MemoryHostNetwork()) as (networks, _):
        (await networks.next()).answer.set_exception(ZeroDivisionError())
        assert (await networks.next()).presence.seen == ""


async def test_a_host_whose_guests_have_no_packets_asks_nothing() -> None:
    with ThreadPoolExecutor(1) as threads:
        networks = ScriptedNetworks()
        follower = Follower(HostId("h"), "host", networks, NoNetwork(), threads, FakeClock())
        async with asyncio.timeout(30):
            await follower.run()
        assert networks.calls.empty()
