"""The cluster behind ``ports.compute.Compute``: what the gateway is given."""

from actors.handles.conductor import ConductorHandle
from actors.handles.guests import GuestsHandle
from actors.handles.instances import InstancesHandle
from actors.handles.owners import ImagesHandle, NetworkHandle, SchedulerHandle, VolumesHandle
from actors.model.flavor import Flavor
from actors.model.flavor_commands import ChangeFlavor, CreateFlavor
from actors.model.ids import FlavorId
from actors.model.image import Image


class CatalogHandle:
    """Implements ``ports.compute.Catalog``: the conductor has the flavors."""

    def __init__(self, store: ConductorHandle) -> None:
        self._store = store
        self._images = ImagesHandle()

    async def flavors(self) -> tuple[Flavor, ...]:
        """As ``Catalog.flavors``."""
        return await self._store.flavors()

    async def create_flavor(self, command: CreateFlavor) -> Flavor:
        """As ``Catalog.create_flavor``."""
        return await self._store.create_flavor(command)

    async def change_flavor(self, command: ChangeFlavor) -> Flavor:
        """As ``Catalog.change_flavor``."""
        return await self._store.change_flavor(command)

    async def delete_flavor(self, flavor: FlavorId) -> None:
        """As ``Catalog.delete_flavor``."""
        await self._store.delete_flavor(flavor)

    async def images(self) -> tuple[Image, ...]:
        """As ``Catalog.images``."""
        return await self._images.images()


class ComputeHandle:
    """Implements ``ports.compute.Compute`` over the actors."""

    def __init__(self, partitions: int) -> None:
        self.instances = InstancesHandle(partitions)
        self.identity = ConductorHandle()
        self.keypairs = self.identity
        self.catalog = CatalogHandle(self.identity)
        self.images = ImagesHandle()
        self.volumes = VolumesHandle()
        self.networks = NetworkHandle()
        self.fleet = SchedulerHandle()
        self.guests = GuestsHandle()
