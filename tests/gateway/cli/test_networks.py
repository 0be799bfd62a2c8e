"""Networks from the command line, against the gateway itself."""

import pytest

from actors.model.network import WantedCard
from actors.ports.network import PortRequest
from tests.fakes.memory_networks import PRIVATE
from tests.gateway.cli.real import Real
from tests.gateway.cloud import ADMIN

BOOT = ("boot", "--flavor", "m1.tiny", "--image", "cirros")
CREATE = ("network-create", "web", "--fixed-range-v4", "10.1.0.0/24")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


async def test_create_list_show_delete(real: Real) -> None:
    words = ("--dns1", "9.9.9.9", "--dns2", "1.1.1.1", "--mtu", "1400")
    ends = ("--allowed-start", "10.1.0.10", "--allowed-end", "10.1.0.99")
    made = await real.json(*CREATE, *words, *ends)
    assert made["subnets"] == [
        {
            "cidr": "10.1.0.0/24",
            "gateway": "10.1.0.1",
            "dhcp_server": "10.1.0.2",
            "allocation_pools": [{"first": "10.1.0.10", "last": "10.1.0.99"}],
        }
    ]
    assert (made["label"], made["project"], made["shared"]) == ("web", "demo", False)
    assert (made["kind"], made["vni"], made["mtu"]) == ("vxlan", None, 1400)
    assert made["dns_servers"] == ["9.9.9.9", "1.1.1.1"]
    code, out, _ = await real.nova("network-list")
    assert code == 0
    header, _, first, second = out.splitlines()[1:5]
    assert cells(header) == ["ID", "Label", "Cidr", "Kind", "Shared"]
    assert cells(first) == [PRIVATE, "private", "10.0.0.0/20", "flat", "true"]
    assert cells(second) == [made["id"], "web", "10.1.0.0/24", "vxlan", "false"]
    code, out, _ = await real.nova("network-show", "web")
    shown = dict(cells(line) for line in out.splitlines()[3:-1])
    assert shown["id"] == made["id"]
    assert shown["allocation_pools"] == "10.1.0.10-10.1.0.99"
    assert (shown["dns"], shown["vni"]) == ("9.9.9.9, 1.1.1.1", "-")
    assert await real.json("network-show", made["id"]) == made
    code, out, err = await real.nova("network-delete", "web", "nobody")
    assert (code, out, "NETWORK_NOT_FOUND" in err) == (1, "", True)
    assert [network["label"] for network in await real.json("network-list")] == ["private"]


async def test_all_that_an_administrator_may(real: Real) -> None:
    words = ("--gateway", "10.1.0.254", "--dhcp-server", "10.1.0.253", "--kind", "flat", "--shared")
    code, _, err = await real.nova(*CREATE, *words)
    assert (code, "ROLE_MISSING" in err) == (1, True)
    # The project is the member's; the role is what counts.
    made = await real.json(*CREATE, *words, token=ADMIN)
    assert (made["subnets"][0]["gateway"], made["kind"], made["shared"]) == (
        "10.1.0.254",
        "flat",
        True,
    )
    await real.json("network-create", "own", "--fixed-range-v4", "10.3.0.0/24")
    listed = await real.json("network-list", "--all-projects", token=ADMIN)
    assert [(network["label"], bool(network["vni"])) for network in listed] == [
        ("own", True),
        ("private", False),
        ("web", False),
    ]


async def test_names_are_told_apart(real: Real) -> None:
    one = await real.json(*CREATE)
    await real.json(*CREATE)
    for words in (("network-show", "web"), (*BOOT, "--nic", "net-name=web", "vm")):
        code, _, err = await real.nova(*words)
        assert (code, "AMBIGUOUS_NAME" in err, one["id"] in err) == (1, True, True)
    code, _, err = await real.nova("network-show", "privat")
    assert (code, "NETWORK_NOT_FOUND" in err, "Did you mean private?" in err) == (1, True, True)
    assert (await real.nova("network-delete", one["id"]))[0] == 0
    assert (await real.nova("network-delete", "web"))[0] == 0


async def test_a_server_is_on_networks(real: Real) -> None:
    web = await real.json(*CREATE)
    nics = ("--nic", "net-name=web,v4-fixed-ip=10.1.0.9", "--nic", f"net-id={PRIVATE}")
    assert (await real.nova(*BOOT, *nics, "vm"))[0] == 0
    (command,) = real.compute.instances.commands
    wanted = tuple(
        WantedCard.model_validate(card)
        for card in ({"network": web["id"], "address": "10.1.0.9"}, {"network": PRIVATE})
    )
    assert command.cards == wanted  # type: ignore[union-attr]
    (record,) = real.compute.instances.records.values()
    request = PortRequest(record.id, record.project, 1, wanted)
    nics_given = await real.compute.networks.allocate(request)
    real.compute.instances.records[record.id] = record.evolve(nics=nics_given)
    code, out, _ = await real.nova("list")
    assert (code, cells(out.splitlines()[3])[-1]) == (0, "private=10.0.0.3; web=10.1.0.9")
    code, out, _ = await real.nova("show", "vm")
    shown = dict(cells(line) for line in out.splitlines()[3:-1])
    assert (shown["web network"], shown["private network"]) == ("10.1.0.9", "10.0.0.3")
    (web_card, private_card) = await real.json("interface-list", "vm")
    assert (web_card["network"], web_card["label"], web_card["address"]) == (
        web["id"],
        "web",
        "10.1.0.9",
    )
    assert (private_card["port"], private_card["mac"]) == (nics_given[1].port, nics_given[1].mac)
    code, out, _ = await real.nova("interface-list", "vm")
    header, _, row, _ = out.splitlines()[1:5]
    assert cells(header) == ["Port State", "Port ID", "Net ID", "IP addresses", "MAC Addr"]
    assert cells(row) == ["ACTIVE", web_card["port"], web["id"], "10.1.0.9", web_card["mac"]]
    assert (await real.nova("network-delete", "web"))[2].startswith("ERROR (NETWORK_IN_USE)")
    code, _, err = await real.nova(*BOOT, "--nic", "net-name=web,v4-fixed-ip=10.1.0.9", "other")
    assert (code, err.startswith("ERROR (ADDRESS_IN_USE)")) == (1, True)


@pytest.mark.parametrize(
    "nic",
    [
        "",
        "web",
        "none",
        "net-name=",
        "net-name=web,net-name=web",
        f"net-name=web,net-id={PRIVATE}",
        "v4-fixed-ip=10.1.0.9",
        "net-id=web",
        "net-name=web,",
        "net-name=web,v4-fixed-ip",
        "net-name=web,v6-fixed-ip=::1",
        "port-id=x",
    ],
)
async def test_a_card_that_cannot_be_read(real: Real, nic: str) -> None:
    code, _, err = await real.nova(*BOOT, "--nic", nic, "vm")
    assert (code, "--nic" in err) == (2, True)
    assert not real.compute.calls


@pytest.mark.parametrize(
    "words",
    [
        ("network-create", "web"),
        (*CREATE, "--kind", "vlan"),
        (*CREATE, "--mtu", "100"),
        (*CREATE, "--allowed-start", "10.1.0.9"),
        (*CREATE, "--allowed-end", "10.1.0.9"),
        ("network-delete",),
    ],
)
async def test_a_command_line_that_cannot_be(real: Real, words: tuple[str, ...]) -> None:
    assert (await real.nova(*words))[0] == 2
    assert not real.compute.calls


async def test_what_the_server_refuses_is_said(real: Real) -> None:
    code, _, err = await real.nova("network-create", "web", "--fixed-range-v4", "10.1.0.7/24")
    assert (code, "has host bits set: the range is 10.1.0.0/24" in err) == (1, True)
