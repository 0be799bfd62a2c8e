"""The small services: hosts, versions."""

from importlib.metadata import version
from typing import Final

from gateway.app.hosts import HostCases
from gateway.app.pages import PageRequest
from gateway.rpc.call import Context, caller
from gateway.rpc.names import host_of
from gateway.rpc.replies import fitting
from gateway.rpc.translate.hosts import host_message
from protos.novaray.v1 import (
    hosts_pb2,
    hosts_pb2_grpc,
    versions_pb2,
    versions_pb2_grpc,
)

#: Grows by one with each addition to the API.
API_LEVEL: Final = 5
MIN_API_LEVEL: Final = 1


class Hosts(hosts_pb2_grpc.HostServiceServicer):
    """The hypervisor hosts."""

    def __init__(self, hosts: HostCases) -> None:
        self._hosts = hosts

    async def GetHost(self, request: hosts_pb2.GetHostRequest, context: Context) -> hosts_pb2.Host:
        """One host (AIP-131)."""
        return host_message(await self._hosts.get(caller(), host_of(request.name)))

    async def ListHosts(
        self, request: hosts_pb2.ListHostsRequest, context: Context
    ) -> hosts_pb2.ListHostsResponse:
        """All hosts (AIP-132)."""
        page = PageRequest(request.page_size, request.page_token)
        messages, token = fitting(await self._hosts.list(caller(), page), host_message)
        return hosts_pb2.ListHostsResponse(hosts=messages, next_page_token=token)


class Versions(versions_pb2_grpc.VersionServiceServicer):
    """What this server speaks."""

    def __init__(self) -> None:
        self._version = versions_pb2.Version(
            release=version("novaray"), api_level=API_LEVEL, min_api_level=MIN_API_LEVEL
        )

    async def GetVersion(
        self, request: versions_pb2.GetVersionRequest, context: Context
    ) -> versions_pb2.Version:
        """Release and API level."""
        return self._version
