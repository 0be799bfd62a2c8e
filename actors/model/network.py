"""Networks, and the ports that give an instance its addresses (Neutron's words)."""

from ipaddress import IPv4Address, IPv4Network
from typing import Final

from pydantic import Field

from actors.model.base import Instant, StoredRecord
from actors.model.ids import InstanceId, NetworkId, PortId, ProjectId

#: What guests' host names end in (Nova: ``dhcp_domain``).
DOMAIN: Final = "novalocal"


class Network(StoredRecord):
    """A flat network with one IPv4 range. ``project`` is empty for a network all projects share."""

    id: NetworkId
    project: ProjectId
    label: str
    cidr: IPv4Network
    gateway: IPv4Address
    #: Serves DHCP in the namespace ``qdhcp-<id>`` of every host.
    dhcp: IPv4Address
    mtu: int = Field(default=1500, ge=576, le=9000)
    shared: bool = True
    created: Instant
    generation: int = 1


class Port(StoredRecord):
    """One network card of one instance."""

    id: PortId
    instance: InstanceId
    project: ProjectId
    network: NetworkId
    mac: str
    address: IPv4Address
    #: The newest operation that asked for it: an older one's release changes nothing.
    sequence: int = 0
    generation: int = 1


class Nic(StoredRecord):
    """A port as its instance and its host need it: with what they must know of the network."""

    port: PortId
    network: Network
    mac: str
    address: IPv4Address

    @property
    def device(self) -> str:
        """The tap device's name on the host: at most 15 characters (IFNAMSIZ)."""
        return f"tap{self.port[:11]}"
