"""The tables' searchable columns, declared once, and how each record becomes a row.

Owns what ``Put.columns`` means. Imports no database: every actor shell builds its batches with
these functions. They lie on the way of every boot, so they do as little as they can.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from actors.model.base import StoredRecord
from actors.model.flavor import Flavor
from actors.model.guest_data import GuestData
from actors.model.host import Claim, HostRecord
from actors.model.identity import TokenRecord
from actors.model.ids import HostId, InstanceId, UserId, partition_of
from actors.model.image import Image
from actors.model.instance import InstanceRecord, VmState
from actors.model.keypair import Keypair
from actors.model.network import Network, Port
from actors.model.operation import OperationRecord
from actors.model.query import Event, EventKind
from actors.model.volume import Volume, VolumeSnapshot
from actors.ports.store import Eviction, Put, Table


@dataclass(frozen=True, slots=True)
class Columns:
    """One table's columns beside ``generation`` and ``body``.

    ``Put.columns`` holds the fixed ones, then the changing ones.
    """

    key: str
    #: Written when the row is made and never again: an update leaves their indexes alone.
    fixed: tuple[str, ...] = ()
    #: Written with every generation.
    changing: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of ``Put.columns``."""
        return self.fixed + self.changing


COLUMNS: Final[Mapping[Table, Columns]] = MappingProxyType(
    {
        Table.INSTANCES: Columns(
            "id", ("partition", "project", "created"), ("name", "host_id", "deleted")
        ),
        Table.OPERATIONS: Columns(
            "id",
            ("instance", "sequence", "partition", "project", "request_id", "action", "created"),
            ("done",),
        ),
        Table.HOSTS: Columns("id", (), ("name", "state")),
        Table.CLAIMS: Columns("instance", (), ("host_id",)),
        Table.NETWORKS: Columns("id", ("project",), ("label",)),
        Table.PORTS: Columns("id", ("instance", "project", "network"), ("address",)),
        Table.IMAGES: Columns("id", ("project",), ("name", "status", "sha256")),
        Table.FLAVORS: Columns("id", (), ("name",)),
        Table.TOKENS: Columns("sha256", (), ("user", "project", "role")),
        Table.KEYPAIRS: Columns("id", ("user", "name")),
        Table.EVICTIONS: Columns("id", ("host_id", "instance")),
        Table.GUEST_DATA: Columns("id", ("instance",)),
        Table.VOLUMES: Columns("id", ("project",), ("status",)),
        Table.VOLUME_SNAPSHOTS: Columns("id", ("volume", "project")),
    }
)


def instant_text(at: datetime) -> str:
    """An instant as the columns hold it: of one width, so that text sorts as time does."""
    return at.isoformat(timespec="microseconds")


def put_instance(record: InstanceRecord, partitions: int) -> Put:
    """The row of an instance."""
    return Put(
        Table.INSTANCES,
        record.id,
        record.generation,
        _body(record),
        (
            partition_of(record.id, partitions),
            record.project,
            instant_text(record.created),
            record.name,
            record.host_id,
            1 if record.vm_state is VmState.DELETED else 0,
        ),
    )


def put_operation(record: OperationRecord, partitions: int) -> Put:
    """The row of an operation."""
    return Put(
        Table.OPERATIONS,
        record.id,
        record.generation,
        _body(record),
        (
            record.instance,
            record.sequence,
            partition_of(record.instance, partitions),
            record.project,
            record.request_id,
            record.action.value,
            instant_text(record.created),
            1 if record.done else 0,
        ),
    )


def put_host(record: HostRecord) -> Put:
    """The row of a host."""
    columns = (record.name, record.state.value)
    return Put(Table.HOSTS, record.id, record.generation, record.model_dump_json(), columns)


def put_claim(claim: Claim) -> Put:
    """The row of a claim: one for an instance. What a former share is of, only its JSON says."""
    columns = (claim.host_id,)
    return Put(Table.CLAIMS, claim.instance, claim.generation, claim.model_dump_json(), columns)


def put_network(network: Network) -> Put:
    """The row of a network."""
    columns = (network.project, network.label)
    return Put(Table.NETWORKS, network.id, network.generation, network.model_dump_json(), columns)


def put_port(port: Port) -> Put:
    """The row of a port. An address is given once in a network: the table sees to it."""
    columns = (port.instance, port.project, port.network, str(port.address))
    return Put(Table.PORTS, port.id, port.generation, port.model_dump_json(), columns)


def put_image(image: Image) -> Put:
    """The row of an image."""
    columns = (image.project, image.name, image.status.value, image.sha256)
    return Put(Table.IMAGES, image.id, image.generation, image.model_dump_json(), columns)


def put_flavor(flavor: Flavor) -> Put:
    """The row of a flavor. Names are unique."""
    columns = (flavor.name,)
    return Put(Table.FLAVORS, flavor.id, flavor.generation, flavor.model_dump_json(), columns)


def put_token(token: TokenRecord) -> Put:
    """The row of a token."""
    columns = (token.user, token.project, token.role.value)
    return Put(Table.TOKENS, token.sha256, token.generation, token.model_dump_json(), columns)


def put_eviction(eviction: Eviction) -> Put:
    """The row of an eviction."""
    return Put(
        Table.EVICTIONS,
        eviction_key(eviction.host_id, eviction.instance),
        eviction.generation,
        eviction.model_dump_json(),
        (eviction.host_id, eviction.instance),
    )


def put_guest_data(data: GuestData) -> Put:
    """The row of what a guest is told."""
    return Put(Table.GUEST_DATA, data.id, data.generation, data.model_dump_json(), (data.instance,))


def put_volume(volume: Volume) -> Put:
    """The row of a volume."""
    columns = (volume.project, volume.status.value)
    return Put(Table.VOLUMES, volume.id, volume.generation, volume.model_dump_json(), columns)


def put_volume_snapshot(snapshot: VolumeSnapshot) -> Put:
    """The row of a snapshot of a volume."""
    columns = (snapshot.volume, snapshot.project)
    return Put(
        Table.VOLUME_SNAPSHOTS,
        snapshot.id,
        snapshot.generation,
        snapshot.model_dump_json(),
        columns,
    )


def eviction_key(host_id: HostId, instance: InstanceId) -> str:
    """The key of an eviction, to remove it by."""
    return f"{host_id}/{instance}"


def put_keypair(keypair: Keypair) -> Put:
    """The row of a key pair. A user's names are unique."""
    return Put(
        Table.KEYPAIRS,
        keypair_key(keypair.user, keypair.name),
        keypair.generation,
        keypair.model_dump_json(),
        (keypair.user, keypair.name),
    )


def keypair_key(user: UserId, name: str) -> str:
    """The key of a key pair, to remove it by. A name has no slash, whatever a user has."""
    return f"{user}/{name}"


def instance_event(record: InstanceRecord) -> Event:
    """What watchers see of this change. The store gives it its sequence."""
    return Event(
        0,
        record.updated,
        record.project,
        EventKind.INSTANCE,
        record.id,
        record.generation,
        _body(record),
    )


def operation_event(record: OperationRecord) -> Event:
    """What watchers see of this change. The store gives it its sequence."""
    return Event(
        0,
        record.updated,
        record.project,
        EventKind.OPERATION,
        record.id,
        record.generation,
        _body(record),
    )


#: The last record of each type that was written out, and its text.
_last: Final[dict[type[StoredRecord], tuple[StoredRecord, str]]] = {}


def _body(record: StoredRecord) -> str:
    # Row and event of one change carry the same text. Making it once halves the work here, and one
    # object in a batch travels once: pickle sends a second reference for a few bytes.
    last = _last.get(type(record))
    if last is not None and last[0] is record:
        return last[1]
    body = record.model_dump_json()
    _last[type(record)] = (record, body)
    return body
