"""Watching: every change once and in order, from now or from a token on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from actors.model.commands import CreateInstance
from actors.model.errors import Unavailable
from actors.model.ids import InstanceId, ProjectId, RequestId, UserId
from actors.model.query import EventBatch
from gateway.app.application import Application
from gateway.app.boot_source import boot_source
from gateway.app.feed import Feed
from gateway.rpc.server import TlsFiles
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import (
    ADMIN,
    SECRET,
    STRANGER,
    Client,
    Cloud,
    create,
    make_compute,
    refused,
    serve,
)

Stream = Any


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again, for half a minute at most."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.005)


@pytest.fixture
async def hasty(tls: tuple[TlsFiles, bytes]) -> AsyncIterator[Cloud]:
    """A cloud with short queues and heartbeats."""
    compute = make_compute()
    feed = Feed(compute.instances, wait_seconds=0.2, retry_seconds=0.01, queue_limit=20)
    application = Application(
        compute, SECRET, heartbeat_seconds=0.1, patience_seconds=0.1, feed=feed
    )
    async with serve(tls, compute, application) as made:
        yield made


@pytest.fixture
async def patient(tls: tuple[TlsFiles, bytes]) -> AsyncIterator[Cloud]:
    """A cloud with batches of 250 events, that finds nobody slow who is less than two behind."""
    compute = make_compute()
    application = Application(compute, SECRET, feed=Feed(compute.instances, queue_limit=500))
    async with serve(tls, compute, application) as made:
        yield made


def watch(client: Client, token: str = "", parent: str = "projects/demo") -> Stream:
    return client.instances.WatchInstances(
        pb.WatchInstancesRequest(parent=parent, resume_token=token)
    )


async def changes(stream: Stream, count: int) -> tuple[list[str], str]:
    """So many changes, as what changed and how; the last token."""
    seen: list[str] = []
    token = ""
    async with asyncio.timeout(60):
        while len(seen) < count:
            message = await stream.read()
            token = message.resume_token
            assert token
            match message.WhichOneof("change"):
                case "instance":
                    state = pb.Instance.State.Name(message.instance.state)
                    seen.append(f"{message.instance.display_name} {state[6:]}")
                case "operation":
                    seen.append(f"operation {'done' if message.operation.done else 'begun'}")
                case _:
                    pass
    return seen, token


async def greeting(stream: Stream) -> str:
    """The first answer: a token and no change."""
    message = await stream.read()
    assert message.WhichOneof("change") is None
    return str(message.resume_token)


BOOT = ["vm BUILD", "operation begun", "vm ACTIVE", "operation done"]


async def test_changes_come_as_they_happen(cloud: Cloud) -> None:
    stream = watch(cloud.member)
    assert await greeting(stream)
    await cloud.member.instances.CreateInstance(create())
    assert (await changes(stream, 4))[0] == BOOT


async def test_a_token_goes_on_behind_its_change(cloud: Cloud) -> None:
    stream = watch(cloud.member)
    start = await greeting(stream)
    await cloud.member.instances.CreateInstance(create())
    _, token = await changes(stream, 2)
    stream.cancel()
    # With nobody listening, and with the feed running ahead.
    for _ in range(2):
        for given, expected in ((token, BOOT[2:]), (start, BOOT)):
            resumed = watch(cloud.member, given)
            await greeting(resumed)
            assert (await changes(resumed, len(expected)))[0] == expected
            resumed.cancel()
        running = watch(cloud.member)
        await greeting(running)


async def test_a_resumed_watch_misses_nothing_that_happens_meanwhile(patient: Cloud) -> None:
    running = watch(patient.member)
    start = await greeting(running)
    for number in range(100):
        await patient.compute.instances.create(_command(patient, number))
    resumed = watch(patient.member, start)

    async def more() -> None:
        for number in range(100, 120):
            await patient.compute.instances.create(_command(patient, number))

    (seen, _), _ = await asyncio.gather(changes(resumed, 480), more())
    assert [s for s in seen if s.endswith("BUILD")] == [f"vm-{n} BUILD" for n in range(120)]


def _command(cloud: Cloud, number: int) -> CreateInstance:
    catalog = cloud.compute.catalog
    return CreateInstance(
        instance=InstanceId(f"i-{number}"),
        project=ProjectId("demo"),
        user=UserId("u"),
        request_id=RequestId(f"r-{number}"),
        name=f"vm-{number}",
        flavor=catalog.all_flavors[0],
        source=boot_source(catalog.all_images[0], {}),
    )


async def test_others_changes_are_not_seen_and_not_decoded(cloud: Cloud) -> None:
    mine, theirs = watch(cloud.member), watch(cloud.connect(STRANGER), parent="projects/other")
    everything = watch(cloud.connect(ADMIN), parent="projects/-")
    for stream in (mine, theirs, everything):
        await greeting(stream)
    await cloud.connect(STRANGER).instances.CreateInstance(create("a", parent="projects/other"))
    await cloud.member.instances.CreateInstance(create("b"))
    assert (await changes(mine, 1))[0] == ["b BUILD"]
    assert (await changes(theirs, 1))[0] == ["a BUILD"]
    assert (await changes(everything, 8))[0][::4] == ["a BUILD", "b BUILD"]


async def test_many_watchers_cost_one(cloud: Cloud) -> None:
    streams = [watch(cloud.member) for _ in range(50)]
    for stream in streams:
        await greeting(stream)
    asked = cloud.compute.calls["events_after"]
    await cloud.member.instances.CreateInstance(create())
    for stream in streams:
        await changes(stream, 4)
    assert cloud.compute.calls["events_after"] - asked <= 4


async def test_a_sign_of_life_moves_the_token_on(hasty: Cloud) -> None:
    stream = watch(hasty.member)
    first = await greeting(stream)
    await hasty.connect(STRANGER).instances.CreateInstance(create(parent="projects/other"))
    async with asyncio.timeout(30):
        while (await greeting(stream)) == first:
            pass
    assert hasty.compute.instances.events[0].project == "other"


async def test_a_watcher_that_does_not_read_is_let_go_with_its_last_token(hasty: Cloud) -> None:
    stream = watch(hasty.member)
    await greeting(stream)
    accepted = await hasty.compute.instances.create(_command(hasty, 0))
    big = accepted.instance.evolve(metadata={"k": "x" * 100_000})
    for _ in range(300):
        hasty.compute.instances.put(big)
        await asyncio.sleep(0)
    await until(lambda: hasty.server.application.feed.watchers == 0)
    sent = 0

    async def read_on() -> None:
        nonlocal sent
        while True:
            sent += (await stream.read()).HasField("instance")

    problem = await refused(read_on(), grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCHER_TOO_SLOW")
    token = problem.info.metadata["resume_token"]
    # Nothing is lost: the token goes on where the reading ended, or one before it.
    resumed = watch(hasty.member, token)
    left = 0
    async with asyncio.timeout(40):
        while left + sent < 302:
            left += (await resumed.read()).HasField("instance")


async def test_a_token_that_is_too_old(cloud: Cloud) -> None:
    stream = watch(cloud.member)
    token = await greeting(stream)
    await cloud.member.instances.CreateInstance(create())
    await changes(stream, 4)
    stream.cancel()
    cloud.compute.instances.prune()

    async def read_on() -> None:
        resumed = watch(cloud.member, token)
        while True:
            await resumed.read()

    problem = await refused(read_on(), grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED")
    assert "List the instances" in problem.message


async def test_a_token_from_a_record_that_was_lost(cloud: Cloud) -> None:
    stream = watch(cloud.member)
    await greeting(stream)
    await cloud.member.instances.CreateInstance(create())
    _, token = await changes(stream, 4)
    stream.cancel()
    await until(lambda: not cloud.server.application.feed.listeners)
    cloud.compute.instances.events.clear()
    # The question under way ends with the next event.
    await cloud.compute.instances.create(_command(cloud, 0))
    del cloud.compute.instances.events[1:]
    await until(lambda: not cloud.server.application.feed.running)
    await refused(
        watch(cloud.member, token).read(), grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"
    )


async def test_what_the_feed_hands_out_during_the_last_read_of_old_events(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = watch(cloud.member)
    start = await greeting(running)
    instances, read = cloud.compute.instances, cloud.compute.instances.events_after

    async def stale(sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        batch = await read(sequence, limit, wait_seconds)
        if sequence >= 0 and not wait_seconds and not batch.events and not instances.events:
            await instances.create(_command(cloud, 0))
            await changes(running, 4)
        return batch

    monkeypatch.setattr(instances, "events_after", stale)
    resumed = watch(cloud.member, start)
    await greeting(resumed)
    assert (await changes(resumed, 4))[0][0] == "vm-0 BUILD"


async def test_a_gateway_that_stops_says_so_and_where_to_go_on(cloud: Cloud) -> None:
    stream = watch(cloud.member)
    await greeting(stream)
    await cloud.member.instances.CreateInstance(create())
    _, token = await changes(stream, 4)
    stopping = asyncio.create_task(cloud.server.stop(50))
    problem = await refused(stream.read(), grpc.StatusCode.UNAVAILABLE, "GATEWAY_STOPPING")
    assert problem.info.metadata["resume_token"] == token
    async with asyncio.timeout(20):
        await stopping


async def test_only_so_many_watch(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.app.feed.MAX_WATCHERS", 1)
    first = watch(cloud.member)
    await greeting(first)
    await refused(
        watch(cloud.member).read(), grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS"
    )


async def test_a_token_of_another_project(cloud: Cloud) -> None:
    token = await greeting(watch(cloud.member))
    await refused(
        watch(cloud.connect(STRANGER), token, "projects/other").read(),
        grpc.StatusCode.INVALID_ARGUMENT,
        "RESUME_TOKEN_INVALID",
    )


async def test_a_store_that_is_away_for_a_while_is_not_noticed(hasty: Cloud) -> None:
    stream = watch(hasty.member)
    await greeting(stream)
    calls = hasty.compute.calls
    hasty.compute.failures["events_after"] = Unavailable("The conductor is away.")
    asked = calls["events_after"]
    await until(lambda: calls["events_after"] > asked + 1)
    await hasty.member.instances.CreateInstance(create())
    del hasty.compute.failures["events_after"]
    assert (await changes(stream, 4))[0] == BOOT


async def test_a_watcher_that_goes_away_leaves_nothing(hasty: Cloud) -> None:
    stream = watch(hasty.member)
    await greeting(stream)
    feed = hasty.server.application.feed
    assert feed.watchers == 1
    stream.cancel()
    await until(lambda: not feed.listeners and not feed.running)
