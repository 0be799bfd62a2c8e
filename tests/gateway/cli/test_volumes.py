"""Volumes from the command line, against the gateway itself."""

import json

import pytest

from actors.model.details import AttachVolume, DetachVolume
from actors.model.ids import HostId, InstanceId, VolumeId
from actors.model.volume_hold import Hold, Reserve
from tests.gateway.cli.real import Real

BOOT = ("boot", "--flavor", "m1.tiny", "--image", "cirros", "vm")


async def hold(real: Real, volume: str, server: str) -> None:
    """As the saga of an attach does it."""
    word = Hold(VolumeId(volume), InstanceId(server), 2)
    owner = real.compute.volumes
    project = owner.ledger.volume(word.volume).project
    await owner.reserve(Reserve(word, project, HostId("h"), "host-1"))
    await owner.attached(word)


async def test_create_list_show_update_extend_delete(real: Real) -> None:
    words = ("--description", "my words", "--metadata", "k=v")
    made = await real.json("volume-create", "--name", "data", *words, "10")
    assert (made["name"], made["size_gb"], made["status"]) == ("data", 10, "available")
    assert (made["description"], made["metadata"]) == ("my words", {"k": "v"})
    code, out, _ = await real.nova("volume-list")
    assert code == 0
    header, _, row = out.splitlines()[1:4]
    assert [cell.strip() for cell in header.split("|")[1:-1]] == [
        "ID", "Status", "Name", "Size", "Bootable", "Attached to",
    ]  # fmt: skip
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        made["id"], "available", "data", "10", "false", "",
    ]  # fmt: skip
    assert (await real.nova("volume-update", "data", "--name", "old"))[0] == 0
    assert (await real.nova("volume-extend", made["id"], "11"))[0] == 0
    assert (await real.nova("volume-extend", "old", "10"))[2].startswith("ERROR (VOLUME_TOO_SMALL)")
    code, out, _ = await real.nova("volume-show", "old")
    shown = dict(line.split("|")[1:3] for line in out.splitlines()[3:-1])
    shown = {name.strip(): value.strip() for name, value in shown.items()}
    assert (shown["id"], shown["size"], shown["status"]) == (made["id"], "11", "available")
    code, out, _ = await real.nova("volume-delete", "old", "nobody")
    assert (code, out) == (1, "Request to delete volume old has been accepted.\n")
    assert await real.json("volume-list") == []


async def test_names_are_told_apart(real: Real) -> None:
    for _ in range(2):
        await real.json("volume-create", "--name", "twin", "1")
    code, _, err = await real.nova("volume-show", "twin")
    assert (code, "AMBIGUOUS_NAME" in err) == (1, True)
    code, _, err = await real.nova("volume-show", "twins")
    assert (code, "VOLUME_NOT_FOUND" in err, "Did you mean twin?" in err) == (1, True, True)


async def test_snapshots(real: Real) -> None:
    await real.json("volume-create", "--name", "data", "2")
    made = await real.json("volume-snapshot-create", "data", "before")
    assert (made["name"], made["size_gb"], made["status"]) == ("before", 2, "available")
    assert await real.json("volume-snapshot-list") == [made]
    again = await real.json("volume-create", "--snapshot", "before", "--name", "again", "3")
    assert again["snapshot"] == made["id"]
    assert (await real.nova("volume-delete", "data"))[2].startswith("ERROR (VOLUME_HAS_SNAPSHOTS)")
    assert (await real.nova("volume-snapshot-delete", "before"))[0] == 0
    assert await real.json("volume-snapshot-list") == []


async def test_attach_and_detach(real: Real) -> None:
    assert (await real.nova(*BOOT))[0] == 0
    (server,) = await real.json("list")
    volume = await real.json("volume-create", "--name", "data", "1")
    code, out, err = await real.nova(
        "volume-attach", "--poll", "--delete-on-termination", "vm", "data"
    )
    assert (code, out.splitlines()[0]) == (
        0,
        "Request to attach volume data to server vm has been accepted.",
    ), err
    await hold(real, volume["id"], server["id"])
    assert await real.json("volume-attachments", "vm") == [
        {
            "volume": volume["id"],
            "device": "/dev/vdb",
            "size_gb": 1,
            "delete_on_termination": True,
        }
    ]
    code, out, _ = await real.nova("volume-attachments", "vm")
    assert "/dev/vdb" in out
    (row,) = (
        line
        for line in (await real.nova("show", "vm"))[1].splitlines()
        if "os-extended-volumes:volumes_attached" in line
    )
    assert json.loads(row.split("|")[2]) == [{"id": volume["id"], "delete_on_termination": True}]
    assert (await real.json("show", "vm"))["volumes"] == [
        {"id": volume["id"], "delete_on_termination": True}
    ]
    assert (await real.json("volume-show", "data"))["server"] == server["id"]
    assert (await real.nova("volume-detach", "vm", "data"))[0] == 0
    details = [getattr(one, "details", None) for one in real.compute.instances.commands[1:]]
    assert details == [
        AttachVolume(volume=VolumeId(volume["id"]), delete_on_termination=True),
        DetachVolume(volume=VolumeId(volume["id"])),
    ]


async def test_a_server_boots_from_a_volume(real: Real) -> None:
    volume = await real.json("volume-create", "--image", "cirros", "--name", "root", "1")
    assert volume["bootable"]
    form = ("boot", "--flavor", "m1.tiny", "--boot-volume", "root", "--delete-boot-volume", "vm")
    assert (await real.nova(*form))[0] == 0
    (command,) = real.compute.instances.commands
    assert (command.boot_volume, command.delete_boot_volume) == (volume["id"], True)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "words",
    [
        ("boot", "--flavor", "m1.tiny", "vm"),
        ("boot", "--flavor", "m1.tiny", "--image", "cirros", "--boot-volume", "v", "vm"),
        ("volume-create", "0"),
        ("volume-create", "16385"),
        ("volume-create", "--image", "cirros", "--snapshot", "s", "1"),
        ("volume-create", "--metadata", "k", "1"),
        ("volume-update", "v"),
    ],
)
async def test_a_command_line_that_cannot_be(real: Real, words: tuple[str, ...]) -> None:
    assert (await real.nova(*words))[0] == 2
    assert not real.compute.calls
