"""The hypervisor hosts, for admins."""

from actors.model.errors import NotFound
from actors.model.host import HostUsage
from actors.model.identity import Principal, Role
from actors.ports.compute import Fleet
from gateway.app.auth import need_role
from gateway.app.pages import Listed, Pager, PageRequest, page_of
from gateway.app.tokens import Signer


class HostCases:
    """What can be asked about hosts."""

    def __init__(self, fleet: Fleet, signer: Signer) -> None:
        self._fleet = fleet
        self._signer = signer

    async def get(self, caller: Principal, host: str) -> HostUsage:
        """One host, by name or UUID.

        Raises:
            Forbidden: The caller is no admin.
            NotFound: No such host.
        """
        need_role(caller, Role.ADMIN)
        for usage in await self._fleet.hosts():
            if host in (usage.record.name, usage.record.id):
                return usage
        raise NotFound(f"Host {host} could not be found.", "HOST_NOT_FOUND", "", {"host": host})

    async def list(self, caller: Principal, request: PageRequest) -> Listed[HostUsage]:
        """All hosts, by name.

        Raises:
            Forbidden: The caller is no admin.
            Invalid: The page request is wrong.
        """
        need_role(caller, Role.ADMIN)
        return page_of(
            await self._fleet.hosts(),
            lambda usage: (usage.record.name, usage.record.id),
            Pager(self._signer, "hosts"),
            request,
        )
