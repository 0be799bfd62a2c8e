"""One guest, as both trees tell of it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import shake_256
from typing import Final

from actors.model.guest_data import GuestData
from actors.model.hostname import hostname_for
from actors.model.instance import InstanceRecord
from actors.model.network import DOMAIN

#: Bytes (Nova: ``os.urandom(512)``).
_SEED_BYTES: Final = 512

#: What ``json.loads`` gives.
Json = Mapping[str, "Json"] | list["Json"] | str | int | float | bool | None


@dataclass(frozen=True)
class HostShare:
    """What a host adds to the data of each of its guests."""

    #: The host's own and nobody else's. Guests' random seeds are made with it.
    secret: bytes
    #: The operator's words to all guests (Nova: ``vendordata_jsonfile_path``).
    vendor_data: Mapping[str, Json]


@dataclass(frozen=True)
class InjectedFile:
    """A file that the guest is to put in its place."""

    path: str
    #: Below ``openstack/``. Numbered: a tenant's path names nothing on the drive or in a URL.
    content_path: str
    content: bytes


@dataclass(frozen=True)
class Guest:
    """An instance and what it is told."""

    record: InstanceRecord
    data: GuestData | None
    share: HostShare

    @property
    def hostname(self) -> str:
        """With the domain that its DHCP server serves (Nova: ``dhcp_domain``)."""
        record = self.record
        # One from before there were host names has none in its record.
        return f"{record.hostname or hostname_for(record.name, record.id)}.{DOMAIN}"

    @property
    def public_key(self) -> str:
        """One line of an authorized_keys file; empty for none."""
        return self.data.public_key if self.data else ""

    @property
    def admin_password(self) -> str:
        """Empty for none."""
        return self.data.admin_password if self.data else ""

    @cached_property
    def user_data(self) -> bytes | None:
        """As its tenant sent it; None where nothing was sent."""
        return base64.b64decode(self.data.user_data) if self.data and self.data.user_data else None

    @cached_property
    def files(self) -> tuple[InjectedFile, ...]:
        """The injected files, by path."""
        files = self.data.files if self.data else {}
        return tuple(
            InjectedFile(path, f"content/{number:04}", base64.b64decode(text))
            for number, (path, text) in enumerate(sorted(files.items()))
        )

    @cached_property
    def random_seed(self) -> str:
        """512 bytes in base64.

        The same each time, so that drive and service agree; but nobody without the host's secret
        can tell them (a sponge hash of secret and text is a keyed hash, FIPS 202). New data, as a
        rebuild brings it, brings another seed.
        """
        version = self.data.id if self.data else ""
        text = f"{self.record.id}/{version}".encode()
        return base64.b64encode(shake_256(self.share.secret + text).digest(_SEED_BYTES)).decode()


def json_bytes(value: Json) -> bytes:
    """One value always gives the same bytes."""
    return json.dumps(value, sort_keys=True).encode()
