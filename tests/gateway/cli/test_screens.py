"""Every table against its golden file, over the real wire."""

import json
from typing import Any

import pytest

from tests.gateway.cli import golden
from tests.gateway.cli.cloud import FIRST_ID, MADE_ID, TEST_IDS, UEC, Cloud, set_state
from tests.gateway.cli.conftest import Nova

BOOT = ("boot", "--image", UEC, "--flavor", "m1.tiny", "MyFirstInstance")

#: Name of the golden file, command line. The first eight are the seed's own.
SCREENS = {
    "list": ("list",),
    "image-list": ("image-list",),
    "flavor-list": ("flavor-list",),
    "boot": BOOT,
    "show": ("show", "MyFirstInstance"),
    "console-log": ("console-log", "MyFirstInstance"),
    "stop": ("stop", "MyFirstInstance"),
    "start": ("start", "MyFirstInstance"),
    "reboot": ("reboot", "MyFirstInstance"),
    "pause": ("pause", "MyFirstInstance"),
    "delete": ("delete", "MyFirstInstance"),
    "rebuild": ("rebuild", "MyFirstInstance", f"{UEC}-kernel"),
    "rescue": ("rescue", "MyFirstInstance"),
    "unrescue": ("unrescue", "MyFirstInstance"),
    "snapshot-create": ("snapshot-create", "MyFirstInstance", "before-upgrade"),
    "snapshot-list": ("snapshot-list", "MyFirstInstance"),
    "snapshot-restore": ("snapshot-restore", "MyFirstInstance", "before-upgrade"),
    "snapshot-delete": ("snapshot-delete", "MyFirstInstance", "before-upgrade"),
    "clone": ("clone", "MyFirstInstance", "MySecondInstance"),
    "resize": ("resize", "MyFirstInstance", "m1.small"),
    "set-size": ("set-size", "MyFirstInstance", "--memory", "1024"),
    "resize-confirm": ("resize", "confirm", "MyFirstInstance"),
    "resize-revert": ("resize-revert", "MyFirstInstance"),
    "list-long": ("list", "--long", "--all-projects"),
    "show-long": ("show", "--long", FIRST_ID),
    "flavor-show": ("flavor-show", "m1.tiny"),
    "flavor-create": ("flavor-create", "--swap", "512", "web", "100", "1024", "5", "1"),
    "flavor-access-list": ("flavor-access-list", "--flavor", "m1.tiny"),
    "host-list": ("host-list",),
    "image-show": ("image-show", UEC),
    "keypair-list": ("keypair-list",),
    "keypair-show": ("keypair-show", "laptop"),
    "get-serial-console": ("get-serial-console", "MyFirstInstance"),
    "get-vnc-console": ("get-vnc-console", "MyFirstInstance", "novnc"),
    "diagnostics": ("diagnostics", "MyFirstInstance"),
    "instance-action-list": ("instance-action-list", "MyFirstInstance"),
    "instance-action": (
        "instance-action",
        "MyFirstInstance",
        "00000000-0000-0000-0000-000000000001",
    ),
    "operation-list": ("operation", "list"),
    "operation-show": ("operation", "show", f"{FIRST_ID}.1"),
    "operation-cancel": ("operation", "cancel", f"{FIRST_ID}.1"),
}


@pytest.fixture
def seeded(cloud: Cloud) -> Cloud:
    """What the screens show."""
    cloud.quick = True
    cloud.add_operation(cloud.first, "CREATE")
    cloud.quick = False
    cloud.add_hosts()
    cloud.add_keypairs()
    cloud.add_instance(TEST_IDS[0], "Test", "10.0.0.4", made=-60)
    cloud.add_instance(TEST_IDS[1], "Test", "10.0.0.6", made=-30)
    cloud.console = (
        b"[    0.000000] Initializing cgroup subsys cpuset\r\n"
        b"=== cirros: current=0.3.4 uptime=14.23 ===\r\n"
        b"login as 'cirros' user. default password: 'cubswin:)'. use 'sudo' for root.\r\n"
        b"myfirstinstance login: "
    )
    return cloud


@pytest.mark.parametrize("name", SCREENS)
def test_screen(name: str, seeded: Cloud, nova: Nova) -> None:
    if name == "boot":
        # Only then is its name free in the seed, too.
        seeded.instances.clear()
    out = nova(*SCREENS[name]).ok
    # Into a pipe a console goes as the guest wrote it; the file is easier read without \r.
    golden.check(name, out.replace("\r\n", "\n").rstrip("\n") + "\n")


@pytest.mark.parametrize("name", [n for n in SCREENS if n != "console-log"])
def test_json(name: str, seeded: Cloud, nova: Nova) -> None:
    """The JSON form is an interface: a change of it shows as a change of these files."""
    if name == "boot":
        seeded.instances.clear()
    arguments = SCREENS[name]
    if name == "boot":
        arguments = (*arguments, "--request-id", "00000000-0000-4000-8000-000000000001")
    out = nova("--format", "json", *arguments).ok
    golden.check(f"json-{name}", _without_random_ids(json.loads(out)))


def test_a_server_in_error_shows_its_fault(cloud: Cloud, nova: Nova) -> None:
    instance = cloud.first
    set_state(instance, "ERROR")
    instance.fault.reason = "NO_VALID_HOST"
    instance.fault.message = "No host can take 512 MiB."
    instance.fault.hosts.update({"node1": "has 100 MiB left", "node2": "is down"})
    golden.check("show-fault", nova("show", "MyFirstInstance").ok)
    fault = json.loads(nova("show", "MyFirstInstance", "--format", "json").ok)["fault"]
    assert fault["hosts"] == {"node1": "has 100 MiB left", "node2": "is down"}


def test_a_server_under_construction_shows_how_far_it_is(cloud: Cloud, nova: Nova) -> None:
    nova(*BOOT[:-1], "New")
    cloud.look(cloud.operations[f"operations/{MADE_ID}.1"])
    assert "| progress                             | 25 " in nova("show", "New").out


def test_empty_tables_have_a_head(cloud: Cloud, nova: Nova) -> None:
    cloud.instances.clear()
    assert len(nova("list").ok.splitlines()) == 4
    assert nova("list", "--format", "json").ok == "[]\n"


def test_version(nova: Nova) -> None:
    assert "| server        | 0.1.0" in nova("version").ok
    assert json.loads(nova("version", "--format", "json").ok)["api_level"] == 1


def _without_random_ids(value: Any) -> str:
    def replaced(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                k: "…" if k == "request_id" and not str(v).startswith("0000") else replaced(v)
                for k, v in part.items()
            }
        return [replaced(item) for item in part] if isinstance(part, list) else part

    return json.dumps(replaced(value), indent=2, ensure_ascii=False) + "\n"
