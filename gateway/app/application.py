"""All use cases, put together over one ``Compute``. What every front end is given."""

from datetime import UTC, datetime
from typing import Final

from actors.ports.compute import Compute
from gateway.app.attachments import AttachmentCases
from gateway.app.auth import Authenticator
from gateway.app.catalog import CatalogCases
from gateway.app.clones import CloneCases
from gateway.app.consoles import ConsoleCases
from gateway.app.edits import EditCases
from gateway.app.feed import Feed
from gateway.app.flavors import FlavorCases
from gateway.app.guest_data import GuestDataMaker
from gateway.app.hosts import HostCases
from gateway.app.images import ImageCases
from gateway.app.instances import InstanceCases
from gateway.app.keypairs import KeypairCases
from gateway.app.networks import NetworkCases
from gateway.app.operations import OperationCases
from gateway.app.rebuilds import RebuildCases
from gateway.app.resizes import ResizeCases
from gateway.app.tokens import Signer
from gateway.app.volumes import VolumeCases
from gateway.app.watch import HEARTBEAT_SECONDS, PATIENCE_SECONDS, WatchCases


class Application:
    """The use cases of one gateway, with the caches and the one event feed they share."""

    def __init__(
        self,
        compute: Compute,
        secret: bytes,
        *,
        force_config_drive: bool = True,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        feed: Feed | None = None,
    ) -> None:
        """Wire them.

        Args:
            compute: The cluster.
            secret: Signs tokens and makes passwords; the same at all gateways of a cluster.
            force_config_drive: Every instance gets a config drive, asked for or not.
            heartbeat_seconds: A watcher hears from us at least so often.
            patience_seconds: A watcher that fell behind and does not read is let go after so long.
            feed: The event feed, where its limits should be others than usual.
        """
        signer = Signer(secret)
        self.feed: Final = feed or Feed(compute.instances)
        self.auth: Final = Authenticator(compute.identity)
        self.catalog: Final = CatalogCases(compute.catalog, signer)
        self.flavors: Final = FlavorCases(compute.catalog, self.catalog)
        self.keypairs: Final = KeypairCases(compute.keypairs, signer)
        guests = GuestDataMaker(self.keypairs, secret, force_config_drive=force_config_drive)
        self.instances: Final = InstanceCases(
            compute.instances, self.catalog, compute.volumes, compute.networks, guests, signer
        )
        self.networks: Final = NetworkCases(compute.networks, signer)
        self.volumes: Final = VolumeCases(compute.volumes, self.catalog, signer)
        self.attachments: Final = AttachmentCases(self.instances, compute.volumes)
        self.rebuilds: Final = RebuildCases(self.instances, self.catalog, guests)
        self.resizes: Final = ResizeCases(self.instances, self.catalog)
        self.clones: Final = CloneCases(self.instances, compute.instances, guests)
        self.edits: Final = EditCases(compute.instances)
        self.consoles: Final = ConsoleCases(
            self.instances, compute.instances, compute.guests, signer
        )
        self.operations: Final = OperationCases(compute.instances, self.feed, signer)
        self.hosts: Final = HostCases(compute.fleet, signer)
        self.images: Final = ImageCases(
            compute.images, self.catalog, signer, lambda: datetime.now(UTC)
        )
        self.watch: Final = WatchCases(self.feed, signer, heartbeat_seconds, patience_seconds)

    async def close(self) -> None:
        """Let go of what runs in the background."""
        self.consoles.close()
        await self.feed.close()
