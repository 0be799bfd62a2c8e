"""Images of guests that run, and instances that are kept as images."""

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Instance, metadata
from tests.live.stack.cloud import UEC, Cloud, eventually, inside

pytestmark = pytest.mark.timeout(900)

_MARK = "sudo sh -c 'echo {0} > /home/cirros/mark; sync'"
_READ = "cat /home/cirros/mark"


def test_an_image_of_a_guest_that_runs_boots_elsewhere(cloud: Cloud) -> None:
    client, guest = cloud.client, cloud.guest_on(cloud.head)
    before = sight.traces(cloud.head)
    pid = guest.pid
    inside(guest, _MARK.format("monday"))

    made = client.ask("CreateInstanceImage", name=guest.name, image_display_name="monday")
    image = metadata(made).image.removeprefix("images/")
    client.succeeded(made.name)
    assert guest.pid == pid
    assert client.get(guest.name).state == Instance.STATE_ACTIVE
    assert "monday" in inside(guest, _READ)
    assert sight.traces(cloud.head) == before

    # What is written now is not in the image.
    inside(guest, _MARK.format("tuesday"))
    boot = client.boot("from-image", image, host=cloud.other.name)
    client.succeeded(boot.operation)
    client.log_in_appears([boot.instance])
    assert "monday" in inside(cloud.guest(boot.instance), _READ)


def test_a_shelved_instance_leaves_its_host_and_comes_back(cloud: Cloud) -> None:
    client = cloud.client
    before = sight.traces(cloud.head), sight.traces(cloud.other)
    guest = cloud.booted(UEC, cloud.head)
    client.log_in_appears([guest.name])
    inside(guest, _MARK.format("kept"))

    client.succeeded(client.ask("ShelveInstance", name=guest.name).name)
    # Its host gives the room back by itself, as Nova's does.
    eventually(
        lambda: client.get(guest.name).state == Instance.STATE_SHELVED_OFFLOADED, "it is offloaded"
    )
    eventually(lambda: (sight.traces(cloud.head), sight.traces(cloud.other)) == before, "no trace")
    assert client.get(guest.name).addresses[0].address == guest.address
    assert not client.get(guest.name).host

    client.succeeded(client.ask("UnshelveInstance", name=guest.name, host=cloud.other.name).name)
    back = cloud.guest(guest.name)
    assert (back.host, back.address) == (cloud.other, guest.address)
    eventually(lambda: "kept" in inside(back, _READ), "it is what it was")
    assert not [name for name in client.images() if name.endswith("-shelved")]
