"""The GatewayActor: serves gRPC in a process of its own. Owns nothing.

It starts no other process, since one that serves gRPC must not fork.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ray

from cluster.compute import ComputeHandle
from gateway.app.application import Application
from gateway.rpc.server import Server, TlsFiles

_log: Final = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where a gateway serves, and with which files of its node."""

    node: str
    listen: str
    partitions: int
    certificate: Path
    key: Path
    #: Signs page and resume tokens; the same at all gateways of a cluster.
    secret: Path
    #: Every instance gets a config drive, asked for or not.
    force_config_drive: bool = True


class GatewayActor:
    """One gateway. Serves from its start on, also when Ray has started it again."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._server: Server | None = None
        self._trouble = "starting"
        self._serving = asyncio.create_task(self._serve(), name="gateway")

    def __repr__(self) -> str:
        return f"Gateway({self._settings.node}, {self._settings.listen})"

    @ray.method
    async def trouble(self) -> str:
        """Why it does not serve; empty when it does."""
        return self._trouble

    @ray.method
    async def stop(self, grace: float) -> None:
        """Take no more calls, and let those in hand end."""
        self._serving.cancel()
        self._trouble = "stopped"
        if self._server is not None:
            await self._server.stop(grace)

    async def _serve(self) -> None:
        settings = self._settings
        compute = ComputeHandle(settings.partitions)
        while True:
            secret = settings.secret.read_bytes()
            server = Server(
                compute,
                secret,
                settings.listen,
                TlsFiles(settings.certificate, settings.key),
                application=Application(
                    compute, secret, force_config_drive=settings.force_config_drive
                ),
            )
            try:
                port = await server.start()
            except (OSError, RuntimeError) as error:
                # The process before this one may still hold the port.
                self._trouble = f"{settings.listen} cannot be listened on: {error}"
                _log.warning("%s", self._trouble)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._server, self._trouble = server, ""
                _log.info("serves on %s (port %d)", settings.listen, port)
                return
