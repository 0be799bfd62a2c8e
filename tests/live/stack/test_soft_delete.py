"""A delete that is taken back, and one that is not, on a real guest."""

import time

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Instance
from tests.live.stack.cloud import DISK, RECLAIM_SECONDS, Cloud, eventually, inside

pytestmark = pytest.mark.timeout(900)


def test_deleted_restored_and_reclaimed(cloud: Cloud) -> None:
    client, host = cloud.client, cloud.head
    before = sight.traces(host), sight.records(host)
    guest = cloud.booted(DISK, host, "soft")
    client.log_in_appears([guest.name])
    inside(guest, "echo kept > mark; sync")
    client.edit("LockInstance", name=guest.name, reason="in use")
    client.edit("UpdateInstance", instance=Instance(name=guest.name, tags=["blue"]))
    booted = client.edit("UnlockInstance", name=guest.name)
    assert (list(booted.tags), booted.locked) == (["blue"], False)

    # The button, not the plug; and all it has stays its own.
    client.succeeded(client.ask("DeleteInstance", name=guest.name).name)
    kept = client.get(guest.name)
    assert (kept.state, kept.power_state) == (
        Instance.STATE_SOFT_DELETED,
        Instance.POWER_STATE_SHUTDOWN,
    )
    assert not sight.domains(host)[guest.id]
    assert "reboot: Power down" in client.console(guest.name)
    assert guest.name not in client.instances()
    assert guest.name in client.instances("state = SOFT_DELETED")

    client.succeeded(client.ask("RestoreInstance", name=guest.name).name)
    client.log_in_appears([guest.name], times=2)
    back = client.get(guest.name)
    assert (back.state, list(back.addresses)) == (Instance.STATE_ACTIVE, list(booted.addresses))
    assert "kept" in inside(guest, "cat mark").splitlines()

    client.edit("ResetInstanceState", name=guest.name, state=Instance.STATE_ERROR)
    assert sight.domains(host)[guest.id]  # whatever is said of it
    begun = time.monotonic()
    client.succeeded(client.ask("DeleteInstance", name=guest.name).name)
    eventually(lambda: client.is_gone(guest.name), "reclaimed", RECLAIM_SECONDS + 120)
    assert time.monotonic() - begun > RECLAIM_SECONDS
    eventually(lambda: (sight.traces(host), sight.records(host)) == before, "no trace")
