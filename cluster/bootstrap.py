"""What a new cluster needs before anybody can use it; all of it may be done again and again."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from actors.handles.conductor import ConductorHandle
from actors.handles.hosts import HostHandle
from actors.handles.owners import NetworkHandle, SchedulerHandle
from actors.model.errors import ComputeError, NotFound, Unavailable
from actors.model.flat_network import default_network
from actors.model.flavor import DEFAULT_FLAVORS
from actors.model.host import HostState, HostUsage
from actors.model.identity import Role, TokenRecord
from actors.model.ids import HostId, InstanceId, NetworkId, ProjectId, UserId
from cluster.config import Settings
from cluster.credentials import Credentials, checksum
from cluster.trouble import Trouble

_POLL_SECONDS: Final = 0.05
_CALL_SECONDS: Final = 10.0

_NOBODY: Final = InstanceId("00000000-0000-4000-8000-000000000000")

Value = TypeVar("Value")


async def eventually(
    call: Callable[[], Awaitable[Value]], seconds: float, what: str, logs: Path
) -> Value:
    """The answer, once there is one.

    Raises:
        Trouble: There is none within this time.
    """
    why = "it has not started"
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        try:
            return await asyncio.wait_for(call(), _CALL_SECONDS)
        except Unavailable as error:
            why = str(error)
        except TimeoutError:
            why = "it does not answer"
        except ComputeError as error:
            raise Trouble(f"{what} refuses: {error}", f"The actors' logs are in {logs}.") from error
        await asyncio.sleep(_POLL_SECONDS)
    raise Trouble(
        f"{what} is not ready after {seconds:.0f} s: {why}", f"The actors' logs are in {logs}."
    )


async def ensure_catalog(settings: Settings) -> None:
    """The flavors of the walkthrough, and one network."""
    store = ConductorHandle()
    await store.found_flavors(DEFAULT_FLAVORS)
    network = default_network(
        NetworkId(str(uuid.uuid4())),
        datetime.now(UTC),
        settings.network_cidr,
        settings.network_mtu,
    ).evolve(label=settings.network_label)
    await NetworkHandle().ensure_network(network)


async def ensure_token(credentials: Credentials, role: Role = Role.ADMIN) -> None:
    """Make the credentials' token work. The store has its checksum only."""
    await ConductorHandle().ensure_token(
        TokenRecord(
            sha256=checksum(credentials.token),
            user=UserId(credentials.user),
            project=ProjectId(credentials.project),
            role=role,
            created=datetime.now(UTC),
        )
    )


async def host_is_up(host: HostId) -> HostUsage:
    """The host, as the scheduler has it.

    Raises:
        Unavailable: It is not up, with its own reason.
    """
    # The scheduler believes an earlier process's report for a while: ask the host itself first.
    with suppress(NotFound):
        await HostHandle(host).console_output(_NOBODY, 0, 1)
    for usage in await SchedulerHandle().hosts():
        if usage.record.id == host:
            record = usage.record
            if record.state is HostState.UP and not record.trouble:
                return usage
            raise Unavailable(f"host {record.name} is {record.state}: {record.trouble or 'silent'}")
    raise Unavailable("the host has not reported yet")
