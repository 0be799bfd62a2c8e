"""What ``nova resize`` asks of the server, in all its forms."""

import pytest

from tests.gateway.cli.cloud import Cloud
from tests.gateway.cli.conftest import Nova


def test_a_flavor_goes_by_name(cloud: Cloud, nova: Nova) -> None:
    assert nova("resize", "MyFirstInstance", "m1.small").ok
    (request,) = cloud.requests("ResizeInstance")
    assert (request.name, request.flavor) == (cloud.first.name, "flavors/2")
    assert request.request_id


@pytest.mark.parametrize("form", [("resize", "confirm"), ("resize-confirm",)])
def test_a_resize_is_confirmed(cloud: Cloud, nova: Nova, form: tuple[str, ...]) -> None:
    assert "confirm the resize of server MyFirstInstance" in nova(*form, "MyFirstInstance").ok
    (request,) = cloud.requests("ConfirmInstanceResize")
    assert request.name == cloud.first.name
    assert cloud.requests("ResizeInstance") == []


@pytest.mark.parametrize("form", [("resize", "revert"), ("resize-revert",)])
def test_a_resize_is_reverted(cloud: Cloud, nova: Nova, form: tuple[str, ...]) -> None:
    assert nova(*form, "MyFirstInstance").ok
    (request,) = cloud.requests("RevertInstanceResize")
    assert request.name == cloud.first.name


def test_a_server_that_is_called_confirm_goes_by_its_id(cloud: Cloud, nova: Nova) -> None:
    cloud.first.display_name = "confirm"
    assert nova("resize", cloud.first.uid, "m1.small").ok
    (request,) = cloud.requests("ResizeInstance")
    assert request.name == cloud.first.name


def test_another_size_says_only_what_is_to_change(cloud: Cloud, nova: Nova) -> None:
    said = nova("set-size", "MyFirstInstance", "--memory", "1024").ok
    assert "change the size of server MyFirstInstance" in said
    assert nova("set-size", "MyFirstInstance", "--vcpus", "2").ok
    memory, vcpus = cloud.requests("ChangeInstanceSize")
    assert (memory.name, memory.memory_mb, memory.HasField("vcpus")) == (
        cloud.first.name,
        1024,
        False,
    )
    assert (vcpus.vcpus, vcpus.HasField("memory_mb")) == (2, False)


def test_a_changed_size_is_shown(cloud: Cloud, nova: Nova) -> None:
    assert "memory_mb" not in nova("show", "MyFirstInstance").ok
    cloud.first.memory_mb, cloud.first.vcpus = 1024, 1
    shown = nova("show", "MyFirstInstance").ok
    assert "memory_mb" in shown
    assert "1024" in shown
