"""What ``nova snapshot-…`` asks of the server."""

import json

from tests.gateway.cli.cloud import Cloud
from tests.gateway.cli.conftest import Nova


def test_a_snapshot_is_taken_and_listed(cloud: Cloud, nova: Nova) -> None:
    assert nova("snapshot-create", "MyFirstInstance", "monday").ok
    (request,) = cloud.requests("TakeInstanceSnapshot")
    assert (request.name, request.snapshot) == (cloud.first.name, "monday")
    assert request.request_id
    assert "monday" in nova("snapshot-list", "MyFirstInstance").ok
    (said,) = json.loads(nova("snapshot-list", "MyFirstInstance", "--format", "json").ok)
    assert (said["name"], said["disk_gb"]) == ("monday", 1)


def test_a_snapshot_is_gone_back_to(cloud: Cloud, nova: Nova) -> None:
    assert nova("snapshot-restore", "--grace", "5", "MyFirstInstance", "monday").ok
    (request,) = cloud.requests("RestoreInstanceSnapshot")
    assert (request.snapshot, request.grace_seconds) == ("monday", 5)


def test_a_snapshot_is_deleted(cloud: Cloud, nova: Nova) -> None:
    assert nova("snapshot-delete", "MyFirstInstance", "monday").ok
    (request,) = cloud.requests("DeleteInstanceSnapshot")
    assert request.snapshot == "monday"
