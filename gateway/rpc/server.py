"""The gRPC server of one gateway: services, border, TLS, health, reflection."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from actors.ports.compute import Compute
from gateway.app.application import Application
from gateway.rpc.border import MAX_MESSAGE_BYTES, Border
from gateway.rpc.consoles import ConsolesService, DiagnosticsService
from gateway.rpc.flavors import FlavorsService
from gateway.rpc.images import ImagesService
from gateway.rpc.instances import InstancesService
from gateway.rpc.keypairs import KeypairsService
from gateway.rpc.networks import NetworksService
from gateway.rpc.operations import OperationsService
from gateway.rpc.services import Hosts, Versions
from gateway.rpc.volumes import VolumesService
from protos.novaray.v1 import (
    consoles_pb2,
    consoles_pb2_grpc,
    diagnostics_pb2,
    diagnostics_pb2_grpc,
    flavors_pb2,
    flavors_pb2_grpc,
    hosts_pb2,
    hosts_pb2_grpc,
    images_pb2,
    images_pb2_grpc,
    instances_pb2,
    instances_pb2_grpc,
    keypairs_pb2,
    keypairs_pb2_grpc,
    networks_pb2,
    networks_pb2_grpc,
    versions_pb2,
    versions_pb2_grpc,
    volumes_pb2,
    volumes_pb2_grpc,
)

#: Calls in hand at once, watchers included; more are refused by gRPC (RESOURCE_EXHAUSTED).
MAX_CONCURRENT_CALLS: Final = 4096

_SERVICES: Final = (
    instances_pb2.DESCRIPTOR.services_by_name["InstanceService"],
    flavors_pb2.DESCRIPTOR.services_by_name["FlavorService"],
    images_pb2.DESCRIPTOR.services_by_name["ImageService"],
    hosts_pb2.DESCRIPTOR.services_by_name["HostService"],
    volumes_pb2.DESCRIPTOR.services_by_name["VolumeService"],
    networks_pb2.DESCRIPTOR.services_by_name["NetworkService"],
    keypairs_pb2.DESCRIPTOR.services_by_name["KeypairService"],
    consoles_pb2.DESCRIPTOR.services_by_name["ConsoleService"],
    diagnostics_pb2.DESCRIPTOR.services_by_name["DiagnosticsService"],
    versions_pb2.DESCRIPTOR.services_by_name["VersionService"],
    operations_pb2.DESCRIPTOR.services_by_name["Operations"],
)
SERVICE_NAMES: Final[tuple[str, ...]] = tuple(service.full_name for service in _SERVICES)

_OPTIONS: Final[Mapping[str, int]] = {
    # The border refuses what is over the limit, with a reason; this only bounds what it has to look
    # at.
    "grpc.max_receive_message_length": 4 * MAX_MESSAGE_BYTES,
    # Two gateways on one port would each get some of the calls, unnoticed.
    "grpc.so_reuseport": 0,
    # Finds clients that vanished without a word; their watches end.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.keepalive_permit_without_calls": 1,
    # How often clients may do the same to us.
    "grpc.http2.min_ping_interval_without_data_ms": 10_000,
    "grpc.http2.min_recv_ping_interval_without_data_ms": 10_000,
}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate chain and its private key, in PEM."""

    certificate: Path
    key: Path

    def credentials(self) -> grpc.ServerCredentials:
        """As gRPC wants them."""
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_credentials([pair])


class Server:
    """Serves one ``Compute`` to gRPC clients.

    Make it and start it on the event loop that is to serve.
    """

    def __init__(
        self,
        compute: Compute,
        secret: bytes,
        listen: str,
        tls: TlsFiles | None,
        *,
        application: Application | None = None,
        options: Mapping[str, int] | None = None,
    ) -> None:
        """Prepare a server; nothing listens before ``start``.

        Args:
            compute: The cluster.
            secret: Signs page, resume and console tokens; 16 bytes or more, the same at all
                gateways of a cluster.
            listen: ``host:port``; port 0 for any.
            tls: Certificate and key; None serves without TLS (tests, or behind a proxy).
            application: The use cases, where others than the usual are wanted.
            options: More channel options, by name.
        """
        self.application: Final = application or Application(compute, secret)
        self._listen = listen
        self._tls = tls
        self._options = {**_OPTIONS, **(options or {})}
        self._server: grpc.aio.Server | None = None
        self._health = health.aio.HealthServicer()

    async def start(self) -> int:
        """Listen and serve; the port.

        Raises:
            RuntimeError: The address cannot be listened on.
        """
        server = grpc.aio.server(
            interceptors=[Border(self.application.auth)],
            options=list(self._options.items()),
            maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS,
        )
        self._register(server)
        if self._tls is None:
            port = server.add_insecure_port(self._listen)
        else:
            port = server.add_secure_port(self._listen, self._tls.credentials())
        await server.start()
        self._server = server
        await self.set_serving(True)
        return port

    async def stop(self, grace: float = 5.0) -> None:
        """Take no more calls, give those in hand so many seconds, then end."""
        if self._server is None:
            return
        await self._health.enter_graceful_shutdown()
        # First those who would stay as long as they may: watchers, and those who wait.
        await self.application.close()
        await self._server.stop(grace)
        self._server = None

    async def wait(self) -> None:
        """Return once the server has ended."""
        assert self._server is not None, "start it first"
        await self._server.wait_for_termination()

    async def set_serving(self, serving: bool) -> None:
        """What the health service says of every service."""
        said = health_pb2.HealthCheckResponse
        word = said.SERVING if serving else said.NOT_SERVING
        for name in ("", *SERVICE_NAMES):
            await self._health.set(name, word)

    def _register(self, server: grpc.aio.Server) -> None:
        app = self.application
        instances_pb2_grpc.add_InstanceServiceServicer_to_server(
            InstancesService(
                app.instances,
                app.edits,
                app.rebuilds,
                app.resizes,
                app.attachments,
                app.clones,
                app.watch,
            ),
            server,
        )
        volumes_pb2_grpc.add_VolumeServiceServicer_to_server(VolumesService(app.volumes), server)
        networks_pb2_grpc.add_NetworkServiceServicer_to_server(
            NetworksService(app.networks), server
        )
        flavors_pb2_grpc.add_FlavorServiceServicer_to_server(
            FlavorsService(app.catalog, app.flavors), server
        )
        images_pb2_grpc.add_ImageServiceServicer_to_server(ImagesService(app.images), server)
        hosts_pb2_grpc.add_HostServiceServicer_to_server(Hosts(app.hosts), server)
        keypairs_pb2_grpc.add_KeypairServiceServicer_to_server(
            KeypairsService(app.keypairs), server
        )
        consoles_pb2_grpc.add_ConsoleServiceServicer_to_server(
            ConsolesService(app.consoles), server
        )
        diagnostics_pb2_grpc.add_DiagnosticsServiceServicer_to_server(
            DiagnosticsService(app.consoles), server
        )
        versions_pb2_grpc.add_VersionServiceServicer_to_server(Versions(), server)
        operations_pb2_grpc.add_OperationsServicer_to_server(  # type: ignore[no-untyped-call]
            OperationsService(app.operations), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            (*SERVICE_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME), server
        )
