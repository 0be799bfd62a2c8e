"""Guests to tell of."""

import base64

from actors.guestdata.guest import Guest, HostShare
from actors.model.guest_data import GuestData
from actors.model.ids import operation_id
from actors.model.instance import InstanceRecord
from tests.contract import records

ID = "7d4b3a52-9f0e-5d7c-8a41-3c1f0a2b4c6d"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann"
USER_DATA = b"#!/bin/sh\necho hello\n"
VENDOR_DATA = {"cloud-init": "#cloud-config\n{}\n"}
SHARE = HostShare(b"the host's own secret, 32 bytes!", VENDOR_DATA)


def record(id_: str = ID) -> InstanceRecord:
    """One with two cards, a kernel and metadata."""
    made = records.instance(
        id_, name="Web 1", boot=records.source(kernel=True), nics=(records.nic(1), records.nic(2))
    )
    return made.evolve(
        hostname="web-1",
        key_name="ann@example.com",
        metadata={"role": "web", "quote": '"\\/\u00e9\u202e'},
        config_drive=True,
        guest_data=operation_id(made.id, 1),
    )


def data(instance: InstanceRecord, **changes: object) -> GuestData:
    """All that one can be told."""
    return GuestData(
        id=operation_id(instance.id, 1),
        instance=instance.id,
        public_key=KEY,
        user_data=base64.b64encode(USER_DATA).decode(),
        files={
            "/etc/motd": base64.b64encode(b"hello\n").decode(),
            "/etc/a file": base64.b64encode(b"\xff\x00").decode(),
        },
        admin_password="u7wKfV3m77Bv",
    ).evolve(**changes)


def full() -> Guest:
    """A guest that is told all there is."""
    instance = record()
    return Guest(instance, data(instance), SHARE)


def bare() -> Guest:
    """A guest that is told nothing beside its record, on no network, by a host with no words."""
    return Guest(records.instance(ID), None, HostShare(SHARE.secret, {}))
