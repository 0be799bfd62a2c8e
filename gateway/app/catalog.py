"""Flavors and images, as callers may see them. Held here for a moment: they change seldom."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from actors.model.errors import NotFound
from actors.model.flavor import Flavor
from actors.model.identity import Principal
from actors.model.ids import FlavorId, ImageId
from actors.model.image import Image
from actors.ports.compute import Catalog
from gateway.app.auth import is_admin
from gateway.app.cache import Fresh, Monotonic
from gateway.app.pages import Listed, Pager, PageRequest, page_of
from gateway.app.tokens import Signer

#: How long a change of the catalog may go unseen here, seconds.
CATALOG_MAX_AGE: Final = 1.0
#: A thing that is not in the copy held here is looked for again in one no older than this: what was
#: just registered is found at once, and a burst of wrong names still costs few hops.
_RECHECK_AGE: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Flavors:
    ordered: tuple[Flavor, ...]
    by_id: dict[FlavorId, Flavor]


@dataclass(frozen=True, slots=True)
class _Images:
    ordered: tuple[Image, ...]
    by_id: dict[ImageId, Image]


class CatalogCases:
    """What can be asked about flavors and images."""

    def __init__(
        self,
        catalog: Catalog,
        signer: Signer,
        max_age: float = CATALOG_MAX_AGE,
        now: Monotonic = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._signer = signer
        self._flavors = Fresh(self._load_flavors, max_age, now)
        self._images = Fresh(self._load_images, max_age, now)

    async def flavor(self, caller: Principal, flavor: FlavorId) -> Flavor:
        """One flavor, as an instance takes it over.

        Raises:
            NotFound: No such flavor, or it is not for the caller.
        """
        return (await self.whole_flavor(caller, flavor)).for_instance()

    async def whole_flavor(self, caller: Principal, flavor: FlavorId) -> Flavor:
        """One flavor, with the projects that may use it: for administrators.

        Raises:
            NotFound: No such flavor, or it is not for the caller.
        """
        found = (await self._flavors.get()).by_id.get(flavor)
        if found is None:
            found = (await self._flavors.get(_RECHECK_AGE)).by_id.get(flavor)
        if found is None or not _may_use_flavor(caller, found):
            raise NotFound(
                f"Flavor {flavor} could not be found.", "FLAVOR_NOT_FOUND", "", {"flavor": flavor}
            )
        return found

    async def image(self, caller: Principal, image: ImageId) -> Image:
        """One image.

        Raises:
            NotFound: No such image, or it is not for the caller.
        """
        found = (await self._images.get()).by_id.get(image)
        if found is None:
            found = (await self._images.get(_RECHECK_AGE)).by_id.get(image)
        if found is None or not _may_use_image(caller, found):
            raise NotFound(
                f"Image {image} could not be found.", "IMAGE_NOT_FOUND", "", {"image": image}
            )
        return found

    def forget_flavors(self) -> None:
        """A flavor was changed here: who asks next sees it."""
        self._flavors.forget()

    async def images_by_id(self) -> dict[ImageId, Image]:
        """All images, whoever they belong to: an image may name a kernel of another project."""
        return (await self._images.get()).by_id

    async def flavors(self, caller: Principal, request: PageRequest) -> Listed[Flavor]:
        """The flavors the caller may use, by memory.

        Raises:
            Invalid: The page request is wrong.
        """
        held = await self._flavors.get()
        return page_of(
            (flavor for flavor in held.ordered if _may_use_flavor(caller, flavor)),
            lambda flavor: (flavor.memory_mb, flavor.id),
            Pager(self._signer, "flavors"),
            request,
        )

    async def images(self, caller: Principal) -> Iterator[Image]:
        """The images the caller may use, newest first."""
        held = await self._images.get()
        return (image for image in held.ordered if _may_use_image(caller, image))

    def forget_images(self) -> None:
        """An image was changed here: who asks next sees it."""
        self._images.forget()

    async def _load_flavors(self) -> _Flavors:
        flavors = await self._catalog.flavors()
        return _Flavors(flavors, {flavor.id: flavor for flavor in flavors})

    async def _load_images(self) -> _Images:
        images = await self._catalog.images()
        return _Images(images, {image.id: image for image in images})


def _may_use_flavor(caller: Principal, flavor: Flavor) -> bool:
    return flavor.is_public or caller.project in flavor.projects or is_admin(caller)


def _may_use_image(caller: Principal, image: Image) -> bool:
    return image.public or image.project == caller.project or is_admin(caller)
