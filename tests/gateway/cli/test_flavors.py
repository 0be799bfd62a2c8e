"""Flavors: what is sent."""

import json
import uuid

import pytest

from tests.gateway.cli.cloud import MADE_ID, Cloud
from tests.gateway.cli.conftest import Nova

NUMBERS = ("1024", "5", "2")


def test_create_sends_what_was_said(cloud: Cloud, nova: Nova) -> None:
    options = (
        "--ephemeral", "10", "--swap", "512", "--rxtx-factor", "2.5",
        "--is-public", "No", "--description", "for the web",
    )  # fmt: skip
    assert nova("flavor-create", *options, "web", "w.1", *NUMBERS).code == 0
    (request,) = cloud.requests("CreateFlavor")
    flavor = request.flavor
    assert (request.flavor_id, flavor.display_name) == ("w.1", "web")
    assert (flavor.memory_mb, flavor.disk_gb, flavor.vcpus) == (1024, 5, 2)
    assert (flavor.ephemeral_gb, flavor.swap_mb, flavor.rxtx_factor) == (10, 512, 2.5)
    assert (flavor.public, flavor.description) == (False, "for the web")
    assert str(uuid.UUID(request.request_id)) == request.request_id


def test_auto_lets_the_server_make_the_id(cloud: Cloud, nova: Nova) -> None:
    (made,) = json.loads(nova("-f", "json", "flavor-create", "web", "auto", *NUMBERS).ok)
    assert made["id"] == MADE_ID
    (request,) = cloud.requests("CreateFlavor")
    assert (request.flavor_id, request.flavor.public) == ("", True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("flavor-create", "web", "auto", "much", "5", "2"),
        ("flavor-create", "--is-public", "maybe", "web", "auto", *NUMBERS),
        ("flavor-key", "m1.tiny", "set", "quota:cpu_shares"),
        ("flavor-key", "m1.tiny", "set", "=5"),
        ("flavor-key", "m1.tiny", "change", "a=5"),
        ("flavor-key", "m1.tiny", "set"),
    ],
)
def test_lines_that_cannot_be_read(cloud: Cloud, nova: Nova, arguments: tuple[str, ...]) -> None:
    assert nova(*arguments).code == 2
    assert not cloud.asked


def test_extra_specs(cloud: Cloud, nova: Nova) -> None:
    assert nova("flavor-key", "m1.tiny", "set", "hw:watchdog_action=reset", "note=a=b").ok == ""
    assert nova("flavor-key", "1", "unset", "note", "color=red").ok == ""
    added, removed = cloud.requests("ChangeFlavorExtraSpecs")
    assert added.name == removed.name == "flavors/1"
    assert dict(added.set) == {"hw:watchdog_action": "reset", "note": "a=b"}
    assert list(removed.unset) == ["note", "color"]
    (changed,) = json.loads(nova("flavor-key", "1", "set", "a=b", "--format", "json").ok)
    assert changed["id"] == "1"


def test_delete_and_describe(cloud: Cloud, nova: Nova) -> None:
    (deleted,) = json.loads(nova("flavor-delete", "m1.nano", "--format", "json").ok)
    assert deleted["id"] == "42"
    cloud.asked.clear()
    assert nova("flavor-delete", "m1.tiny").ok == ""
    assert cloud.requests("DeleteFlavor")[0].name == "flavors/1"
    assert nova("flavor-update", "m1.tiny", "small").code == 0
    (request,) = cloud.requests("UpdateFlavor")
    assert (request.flavor.name, request.flavor.description) == ("flavors/1", "small")
    assert list(request.update_mask.paths) == ["description"]


def test_access(cloud: Cloud, nova: Nova) -> None:
    said = json.loads(nova("-f", "json", "flavor-access-add", "m1.tiny", "red").ok)
    assert said == {"flavor": "1", "projects": ["blue", "green", "red"]}
    assert cloud.requests("AddFlavorAccess")[0].project == "projects/red"
    assert "| 1         | blue" in nova("flavor-access-remove", "m1.tiny", "green").ok
    assert cloud.requests("RemoveFlavorAccess")[0].project == "projects/green"
