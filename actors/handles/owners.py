"""Handles on the single owners: scheduler, network, images, volumes."""

from actors.handles.remote import IMAGES, NETWORK, SCHEDULER, VOLUMES, Grouped, Remote
from actors.model.host import Claim, HostReport, HostUsage
from actors.model.host_view import HostPresence, HostView
from actors.model.ids import ImageId, NetworkId, ProjectId, SnapshotId, VolumeId
from actors.model.image import Image
from actors.model.image_commands import ImageChanges
from actors.model.network import Network, Nic
from actors.model.network_commands import CreateNetwork
from actors.model.volume import (
    CreateVolume,
    CreateVolumeSnapshot,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
)
from actors.model.volume_hold import Hold, Moved, Reserve
from actors.ports.network import PortRelease, PortRequest
from actors.ports.scheduler import ClaimRequest, Release


class SchedulerHandle:
    """Implements ``ports.scheduler.Scheduler``."""

    def __init__(self) -> None:
        self._actor = Remote(SCHEDULER)
        self._claim: Grouped[ClaimRequest, Claim] = Grouped(self._actor, "claim_many")
        self._release: Grouped[Release, None] = Grouped(self._actor, "release_many")

    async def claim(self, request: ClaimRequest) -> Claim:
        """As ``Scheduler.claim``."""
        return await self._claim(request)

    async def release(self, release: Release) -> None:
        """As ``Scheduler.release``."""
        await self._release(release)

    async def report(self, report: HostReport) -> None:
        """As ``Scheduler.report``."""
        await self._actor.call("report", report)

    async def hosts(self) -> tuple[HostUsage, ...]:
        """As ``Scheduler.hosts``."""
        hosts: tuple[HostUsage, ...] = await self._actor.call("hosts")
        return hosts

    async def set_enabled(self, host: str, enabled: bool, reason: str) -> HostUsage:
        """As ``Scheduler.set_enabled``."""
        usage: HostUsage = await self._actor.call("set_enabled", host, enabled, reason)
        return usage


class NetworkHandle:
    """Implements ``ports.network.Networks`` and ``NetworkNews``."""

    def __init__(self) -> None:
        self._actor = Remote(NETWORK)
        self._allocate: Grouped[PortRequest, tuple[Nic, ...]] = Grouped(
            self._actor, "allocate_many"
        )
        self._release: Grouped[PortRelease, None] = Grouped(self._actor, "release_many")

    async def allocate(self, request: PortRequest) -> tuple[Nic, ...]:
        """As ``Networks.allocate``."""
        return await self._allocate(request)

    async def release(self, release: PortRelease) -> None:
        """As ``Networks.release``."""
        await self._release(release)

    async def check(self, request: PortRequest) -> None:
        """As ``Networks.check``."""
        await self._actor.call("check", request)

    async def networks(self) -> tuple[Network, ...]:
        """As ``Networks.networks``."""
        networks: tuple[Network, ...] = await self._actor.call("networks")
        return networks

    async def network(self, network: NetworkId) -> Network:
        """As ``Networks.network``."""
        found: Network = await self._actor.call("network", network)
        return found

    async def ensure_network(self, network: Network) -> Network:
        """As ``Networks.ensure_network``."""
        made: Network = await self._actor.call("ensure_network", network)
        return made

    async def create_network(self, command: CreateNetwork) -> Network:
        """As ``Networks.create_network``."""
        made: Network = await self._actor.call("create_network", command)
        return made

    async def delete_network(self, network: NetworkId) -> None:
        """As ``Networks.delete_network``."""
        await self._actor.call("delete_network", network)

    async def watch(self, presence: HostPresence) -> HostView:
        """As ``NetworkNews.watch``."""
        view: HostView = await self._actor.call("watch", presence)
        return view


class ImagesHandle:
    """Implements ``ports.images.Images``."""

    def __init__(self) -> None:
        self._actor = Remote(IMAGES)

    async def images(self) -> tuple[Image, ...]:
        """As ``Images.images``."""
        images: tuple[Image, ...] = await self._actor.call("images")
        return images

    async def register(self, image: Image, path: str) -> Image:
        """As ``Images.register``."""
        registered: Image = await self._actor.call("register", image, path)
        return registered

    async def create(self, image: Image) -> Image:
        """As ``Images.create``."""
        made: Image = await self._actor.call("create", image)
        return made

    async def write(self, image: ImageId, offset: int, data: bytes) -> int:
        """As ``Images.write``."""
        written: int = await self._actor.call("write", image, offset, data)
        return written

    async def upload_offset(self, image: ImageId) -> int:
        """As ``Images.upload_offset``."""
        offset: int = await self._actor.call("upload_offset", image)
        return offset

    async def seal(self, image: ImageId, sha256: str | None) -> Image:
        """As ``Images.seal``."""
        sealed: Image = await self._actor.call("seal", image, sha256)
        return sealed

    async def update(self, image: ImageId, changes: ImageChanges, generation: int | None) -> Image:
        """As ``Images.update``."""
        updated: Image = await self._actor.call("update", image, changes, generation)
        return updated

    async def delete(self, image: ImageId) -> None:
        """As ``Images.delete``."""
        await self._actor.call("delete", image)

    async def read(self, sha256: str, offset: int, length: int) -> bytes:
        """As ``Images.read``."""
        data: bytes = await self._actor.call("read", sha256, offset, length)
        return data


class VolumesHandle:
    """Implements ``ports.volumes.Volumes``."""

    def __init__(self) -> None:
        self._actor = Remote(VOLUMES)

    async def volumes(self, project: ProjectId | None) -> tuple[Volume, ...]:
        """As ``Volumes.volumes``."""
        volumes: tuple[Volume, ...] = await self._actor.call("volumes", project)
        return volumes

    async def volume(self, volume: VolumeId) -> Volume:
        """As ``Volumes.volume``."""
        found: Volume = await self._actor.call("volume", volume)
        return found

    async def snapshots(self, project: ProjectId | None) -> tuple[VolumeSnapshot, ...]:
        """As ``Volumes.snapshots``."""
        snapshots: tuple[VolumeSnapshot, ...] = await self._actor.call("snapshots", project)
        return snapshots

    async def snapshot(self, snapshot: SnapshotId) -> VolumeSnapshot:
        """As ``Volumes.snapshot``."""
        found: VolumeSnapshot = await self._actor.call("snapshot", snapshot)
        return found

    async def create(self, command: CreateVolume) -> Volume:
        """As ``Volumes.create``."""
        made: Volume = await self._actor.call("create", command)
        return made

    async def change(
        self, volume: VolumeId, changes: VolumeChanges, generation: int | None
    ) -> Volume:
        """As ``Volumes.change``."""
        changed: Volume = await self._actor.call("change", volume, changes, generation)
        return changed

    async def delete(self, volume: VolumeId) -> None:
        """As ``Volumes.delete``."""
        await self._actor.call("delete", volume)

    async def take_snapshot(self, command: CreateVolumeSnapshot) -> VolumeSnapshot:
        """As ``Volumes.take_snapshot``."""
        made: VolumeSnapshot = await self._actor.call("take_snapshot", command)
        return made

    async def delete_snapshot(self, snapshot: SnapshotId) -> None:
        """As ``Volumes.delete_snapshot``."""
        await self._actor.call("delete_snapshot", snapshot)

    async def reserve(self, request: Reserve) -> Volume:
        """As ``Volumes.reserve``."""
        kept: Volume = await self._actor.call("reserve", request)
        return kept

    async def attached(self, hold: Hold) -> None:
        """As ``Volumes.attached``."""
        await self._actor.call("attached", hold)

    async def detaching(self, hold: Hold) -> None:
        """As ``Volumes.detaching``."""
        await self._actor.call("detaching", hold)

    async def moved(self, word: Moved) -> None:
        """As ``Volumes.moved``."""
        await self._actor.call("moved", word)

    async def release(self, hold: Hold, delete: bool) -> None:
        """As ``Volumes.release``."""
        await self._actor.call("release", hold, delete)
