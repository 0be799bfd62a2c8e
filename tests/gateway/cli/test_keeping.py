"""What image-create, backup and the shelve commands ask of the server."""

import pytest

from gateway.cli.failures import Exit
from tests.gateway.cli.cloud import Cloud
from tests.gateway.cli.conftest import Nova


def test_an_image_has_its_name_and_properties(cloud: Cloud, nova: Nova) -> None:
    out = nova("image-create", "--metadata", "stage=test", "MyFirstInstance", "monday").ok
    assert "image monday of server MyFirstInstance has been accepted" in out
    (request,) = cloud.requests("CreateInstanceImage")
    assert (request.image_display_name, dict(request.properties)) == ("monday", {"stage": "test"})
    assert request.request_id


def test_a_property_has_a_key_and_a_value(cloud: Cloud, nova: Nova) -> None:
    done = nova("image-create", "--metadata", "stage", "MyFirstInstance", "monday")
    assert done.code == Exit.USAGE
    assert "'stage' is not KEY=VALUE" in done.err
    assert cloud.requests("CreateInstanceImage") == []


def test_a_backup_has_its_type_and_rotation(cloud: Cloud, nova: Nova) -> None:
    assert nova("backup", "MyFirstInstance", "monday", "daily", "7").ok
    (request,) = cloud.requests("BackupInstance")
    assert (request.image_display_name, request.backup_type, request.rotation) == (
        "monday",
        "daily",
        7,
    )


@pytest.mark.parametrize("rotation", ["0", "1001", "many"])
def test_a_rotation_is_a_number(cloud: Cloud, nova: Nova, rotation: str) -> None:
    assert nova("backup", "MyFirstInstance", "monday", "daily", rotation).code == Exit.USAGE
    assert cloud.requests("BackupInstance") == []


@pytest.mark.parametrize(
    ("command", "method"),
    [
        ("shelve", "ShelveInstance"),
        ("shelve-offload", "OffloadInstance"),
        ("unshelve", "UnshelveInstance"),
    ],
)
def test_a_server_is_shelved_and_brought_back(
    cloud: Cloud, nova: Nova, command: str, method: str
) -> None:
    assert "server MyFirstInstance has been accepted" in nova(command, "MyFirstInstance").ok
    assert len(cloud.requests(method)) == 1


def test_an_unshelve_may_name_the_host(cloud: Cloud, nova: Nova) -> None:
    assert nova("unshelve", "--host", "compute2", "MyFirstInstance").ok
    assert cloud.requests("UnshelveInstance")[0].host == "compute2"
