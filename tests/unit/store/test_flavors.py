"""Flavors over SQLite."""

import asyncio
from typing import Any

import pytest

from actors.model.errors import AlreadyExists, Conflict, Invalid, NotFound
from actors.model.flavor import DEFAULT_FLAVORS, Flavor
from actors.model.flavor_commands import ChangeFlavor, CreateFlavor
from actors.model.ids import FlavorId, ProjectId, RequestId
from actors.store.catalog import Catalog
from actors.store.sqlite import SqliteStore

WEB, BLUE, RED = FlavorId("web"), ProjectId("blue"), ProjectId("red")


def creating(key: str = WEB, name: str = "web", request: str = "1", **fields: Any) -> CreateFlavor:
    numbers = {"memory_mb": 64, "vcpus": 1, "disk_gb": 0, **fields}
    return CreateFlavor(id=key, name=name, request_id=RequestId(request), **numbers)


@pytest.fixture
async def catalog(store: SqliteStore) -> Catalog:
    return await Catalog.load(store)


async def held(catalog: Catalog, store: SqliteStore) -> Flavor:
    """The flavor, which is the same on disk."""
    (flavor,) = catalog.flavors()
    assert (await Catalog.load(store)).flavors() == (flavor,)
    return flavor


async def test_a_create_is_done_once(catalog: Catalog, store: SqliteStore) -> None:
    made = await catalog.create_flavor(creating(description="a", extra_specs={"note": "b"}))
    assert await held(catalog, store) == made
    again = creating(description="a", extra_specs={"note": "b"})
    assert await catalog.create_flavor(again) == made
    for other in (
        creating(request="2"),
        creating(description="another"),
        creating("web2", request="2"),
        creating(name="web2", request="2"),
    ):
        with pytest.raises(AlreadyExists):
            await catalog.create_flavor(other)
    assert await held(catalog, store) == made


async def test_two_creates_at_once(catalog: Catalog) -> None:
    commands = [creating(request=str(n)) for n in range(3)]
    results = await asyncio.gather(
        *(catalog.create_flavor(command) for command in commands), return_exceptions=True
    )
    assert sum(isinstance(result, AlreadyExists) for result in results) == 2


async def test_extra_specs_change(catalog: Catalog, store: SqliteStore) -> None:
    await catalog.create_flavor(creating(extra_specs={"note": "a", "quota:cpu_shares": "9"}))
    change = ChangeFlavor(
        id=WEB, set_specs={"note": "b", "novaray:max_vcpus": "4"}, unset_specs=("no", "note2")
    )
    changed = await catalog.change_flavor(change)
    assert await catalog.change_flavor(change) == changed
    assert changed.generation == 2
    assert changed == await held(catalog, store)
    assert changed.extra_specs == {
        "note": "b",
        "quota:cpu_shares": "9",
        "novaray:max_vcpus": "4",
    }
    for specs in ({"novaray:max_memory_mb": "63"}, {"hw_rng:rate_period": "5"}):
        with pytest.raises(Invalid):
            await catalog.change_flavor(ChangeFlavor(id=WEB, set_specs=specs))
    assert await held(catalog, store) == changed


async def test_access_changes(catalog: Catalog, store: SqliteStore) -> None:
    await catalog.create_flavor(creating(is_public=False))
    for project in (RED, BLUE, RED):
        await catalog.change_flavor(ChangeFlavor(id=WEB, add_project=project))
    assert (await held(catalog, store)).projects == (BLUE, RED)
    for _ in range(2):
        await catalog.change_flavor(ChangeFlavor(id=WEB, remove_project=RED))
    flavor = await held(catalog, store)
    assert (flavor.projects, flavor.generation) == ((BLUE,), 4)
    assert flavor.for_instance().projects == ()


async def test_a_public_flavor_has_no_access_list(catalog: Catalog) -> None:
    await catalog.create_flavor(creating())
    with pytest.raises(Conflict):
        await catalog.change_flavor(ChangeFlavor(id=WEB, add_project=BLUE))


async def test_the_description_can_be_taken_away(catalog: Catalog, store: SqliteStore) -> None:
    await catalog.create_flavor(creating(description="a"))
    await catalog.change_flavor(ChangeFlavor(id=WEB, set_specs={"note": "x"}))
    assert (await held(catalog, store)).description == "a"
    await catalog.change_flavor(ChangeFlavor(id=WEB, description=""))
    assert (await held(catalog, store)).description == ""


async def test_what_is_not_there(catalog: Catalog) -> None:
    for call in (
        catalog.delete_flavor(WEB),
        catalog.change_flavor(ChangeFlavor(id=WEB, description="")),
    ):
        with pytest.raises(NotFound):
            await call


async def test_the_first_flavors_come_once(catalog: Catalog, store: SqliteStore) -> None:
    await catalog.found_flavors(DEFAULT_FLAVORS)
    tiny = DEFAULT_FLAVORS[0]
    await catalog.delete_flavor(tiny.id)
    again = await Catalog.load(store)
    await again.found_flavors(DEFAULT_FLAVORS)
    # A default that an administrator deleted stays deleted.
    assert set(again.flavors()) == set(DEFAULT_FLAVORS) - {tiny}
