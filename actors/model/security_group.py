"""Security groups: what may come to a guest, and what may leave it (Neutron's words)."""

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from pydantic import Field

from actors.model.base import Instant, StoredRecord
from actors.model.ids import ProjectId, SecurityGroupId

#: The group that every project has, and that a port gets when none is named.
DEFAULT_GROUP: Final = "default"


class Direction(StrEnum):
    """Seen from the guest."""

    INGRESS = "ingress"
    EGRESS = "egress"


class EtherType(StrEnum):
    """Which internet protocol a rule is about."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


class SecurityRule(StoredRecord):
    """One thing that is allowed. What no rule of a port's groups allows is dropped."""

    #: A UUID.
    id: str
    direction: Direction
    ethertype: EtherType = EtherType.IPV4
    #: A number of IANA's (tcp 6, udp 17, icmp 1, icmpv6 58); None: all protocols.
    protocol: int | None = Field(default=None, ge=0, le=255)
    #: First and last port, both allowed; for ICMP its type and code. None: all.
    port_min: int | None = Field(default=None, ge=0, le=65_535)
    port_max: int | None = Field(default=None, ge=0, le=65_535)
    #: The other side: this range, or the members of this group; neither: anybody.
    cidr: IPv4Network | IPv6Network | None = None
    group: SecurityGroupId | None = None


class SecurityGroup(StoredRecord):
    """Rules under a name. They are part of its record: one row, one generation."""

    id: SecurityGroupId
    project: ProjectId
    name: str
    description: str = ""
    rules: tuple[SecurityRule, ...] = ()
    created: Instant
    generation: int = 1
