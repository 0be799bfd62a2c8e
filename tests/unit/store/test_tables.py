"""Records become rows: every helper fills every declared column."""

from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network

from actors.model.flavor import Resources
from actors.model.guest_data import GuestData
from actors.model.host import Claim, HostRecord, Inventory
from actors.model.identity import Role, TokenRecord
from actors.model.ids import (
    HostId,
    ImageId,
    NetworkId,
    PortId,
    RequestId,
    SnapshotId,
    UserId,
    VolumeId,
    partition_of,
)
from actors.model.image import DiskFormat, Image
from actors.model.instance import VmState
from actors.model.keypair import Keypair
from actors.model.network import Network, Port
from actors.model.volume import Volume, VolumeSnapshot
from actors.ports.store import Batch, Eviction, Put, Table
from actors.store.sqlite import SqliteStore
from actors.store.tables import (
    COLUMNS,
    instance_event,
    instant_text,
    operation_event,
    put_claim,
    put_eviction,
    put_flavor,
    put_guest_data,
    put_host,
    put_image,
    put_instance,
    put_keypair,
    put_network,
    put_operation,
    put_port,
    put_token,
    put_volume,
    put_volume_snapshot,
)
from tests.unit.store.records import DEMO, NOON, PARTITIONS, WRITER, flavor, instance, operation

VM = instance()
HOST = HostId("host")
VOLUME = Volume(id=VolumeId("v1"), project=DEMO, user=UserId("alice"), size_gb=1, created=NOON)
PUTS: tuple[Put, ...] = (
    put_instance(VM, PARTITIONS),
    put_operation(operation(VM), PARTITIONS),
    put_host(
        HostRecord(
            id=HOST,
            name="node-1",
            inventory=Inventory(vcpus=1, memory_mb=1, disk_gb=1),
            hypervisor="TEST",
            virt_type="test",
            created=NOON,
            updated=NOON,
        )
    ),
    put_claim(
        Claim(
            instance=VM.id,
            host_id=HOST,
            host="node-1",
            resources=Resources(vcpus=1, memory_mb=1, disk_gb=1),
            sequence=1,
            attempt=1,
        )
    ),
    put_network(
        Network(
            id=NetworkId("net"),
            project=DEMO,
            label="private",
            cidr=IPv4Network("10.0.0.0/24"),
            gateway=IPv4Address("10.0.0.1"),
            dhcp=IPv4Address("10.0.0.2"),
            created=NOON,
        )
    ),
    put_port(
        Port(
            id=PortId("port"),
            instance=VM.id,
            project=DEMO,
            network=NetworkId("net"),
            mac="fa:16:3e:00:00:01",
            address=IPv4Address("10.0.0.3"),
        )
    ),
    put_image(
        Image(
            id=ImageId("image"),
            project=DEMO,
            name="cirros",
            disk_format=DiskFormat.QCOW2,
            created=NOON,
        )
    ),
    put_flavor(flavor("m1.test")),
    put_token(
        TokenRecord(
            sha256="a" * 64, user=UserId("user"), project=DEMO, role=Role.MEMBER, created=NOON
        )
    ),
    put_keypair(
        Keypair(
            user=UserId("user"),
            name="laptop",
            public_key="ssh-ed25519 AAAA",
            fingerprint="00:11",
            request_id=RequestId("r"),
            created=NOON,
        )
    ),
    put_eviction(Eviction(host_id=HOST, instance=VM.id, sequence=1, record=VM)),
    put_guest_data(GuestData(id=operation(VM).id, instance=VM.id)),
    put_volume(VOLUME),
    put_volume_snapshot(
        VolumeSnapshot(id=SnapshotId("s1"), volume=VOLUME.id, project=DEMO, size_gb=1, created=NOON)
    ),
)


def test_there_is_a_helper_for_every_table() -> None:
    assert [put.table for put in PUTS] == list(Table)
    for put in PUTS:
        assert len(put.columns) == len(COLUMNS[put.table].names), put.table


async def test_every_row_can_be_written_changed_loaded_and_removed(store: SqliteStore) -> None:
    for put in PUTS:
        await store.commit(Batch(WRITER, 1, (put,)))
        changed = Put(put.table, put.key, 2, put.body + " ", put.columns)
        await store.commit(Batch(WRITER, 1, (changed,)))
        assert await store.load(put.table) == (changed.body,)


def test_columns_say_what_the_record_says() -> None:
    named = dict(zip(COLUMNS[Table.INSTANCES].names, PUTS[0].columns, strict=True))
    assert named == {
        "partition": partition_of(VM.id, PARTITIONS),
        "project": "demo",
        "created": "2026-11-01T12:00:00.000000+00:00",
        "name": VM.name,
        "host_id": None,
        "deleted": 0,
    }
    deleted = VM.evolve(vm_state=VmState.DELETED, host_id=HOST)
    assert put_instance(deleted, PARTITIONS).columns[-2:] == ("host", 1)


def test_instants_sort_as_text() -> None:
    instants = [NOON + timedelta(microseconds=n) for n in (0, 1, 999_999, 1_000_000)]
    texts = [instant_text(at) for at in instants]
    assert texts == sorted(texts)


def test_row_and_event_share_one_text() -> None:
    vm = instance()
    job = operation(vm)
    put, event = put_instance(vm, PARTITIONS), instance_event(vm)
    assert event.body is put.body
    assert operation_event(job).body is put_operation(job, PARTITIONS).body
    assert (event.sequence, event.at, event.project, event.id) == (0, NOON, "demo", vm.id)
    assert event.instance() == vm
    assert instance_event(vm.evolve(generation=2)).body != event.body
