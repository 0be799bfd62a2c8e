"""What ``nova clone`` asks of the server."""

import json

from tests.gateway.cli.cloud import Cloud
from tests.gateway.cli.conftest import Nova


def test_a_clone_has_the_name_it_is_given(cloud: Cloud, nova: Nova) -> None:
    said = nova("clone", "MyFirstInstance", "MySecondInstance").ok
    (request,) = cloud.requests("CloneInstance")
    assert (request.name, request.display_name) == (cloud.first.name, "MySecondInstance")
    assert request.request_id
    assert "MySecondInstance" in said
    assert "adminPass" in said


def test_a_name_may_be_left_to_the_server(cloud: Cloud, nova: Nova) -> None:
    said = json.loads(nova("clone", "MyFirstInstance", "--format", "json").ok)
    (request,) = cloud.requests("CloneInstance")
    assert request.display_name == ""
    assert said["instance"]["name"] == "MyFirstInstance-clone"
    assert said["admin_password"]
