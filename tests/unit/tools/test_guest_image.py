"""The parts of the guest image's build that need no package and no command."""

import gzip
import json
import stat
import struct
from pathlib import Path

import pytest

from tools.guest_image import disk, host, manifest, packages, ramdisk, rootfs, tree
from tools.guest_image.build import fingerprint
from tools.guest_image.host import GuestImageError
from tools.guest_image.packages import Package

APT_RECORD = "Package: {name}\nVersion: 1:{version}\nDescription: a package\n more of it\n"
APT_RECORDS = "\n".join(
    [
        *(APT_RECORD.format(name=name, version=2) for name in packages.NAMES),
        f"Package: {packages.KERNEL_META}\nVersion: 6.1\n"
        "Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\n",
    ]
)
SIZES = {
    "vmlinuz": 14_000_000,
    "initrd.gz": 4_000_000,
    "rootfs.qcow2": 64 * disk.MIB,
    "disk.qcow2": 1024 * disk.MIB + 1,
}


# --- disk --------------------------------------------------------------------------------------


def test_master_boot_record_holds_one_active_linux_partition() -> None:
    record = disk.master_boot_record(b"\x90" * 512, first=2048, sectors=194_560)

    assert len(record) == 512
    assert record[510:] == b"\x55\xaa"
    status, kind, first, sectors = struct.unpack("<B3xB3xII", record[446:462])
    assert (status, kind, first, sectors) == (0x80, 0x83, 2048, 194_560)
    assert record[462:510] == bytes(48), "the other three entries are free"


def test_master_boot_record_keeps_boot_code_off_the_disk_signature() -> None:
    record = disk.master_boot_record(b"\x90" * 512, first=2048, sectors=1)
    assert record[:440] == b"\x90" * 440
    assert record[440:446] == bytes(6)


def test_inode_fields_name_each_file_and_folder_once() -> None:
    script = disk.inode_fields({"home/cirros": tree.folder(uid=1000, gid=1001)}, mtime=7)
    assert script.splitlines() == [
        'set_inode_field "/" ctime @7',
        'set_inode_field "/home" uid 0',
        'set_inode_field "/home" gid 0',
        'set_inode_field "/home" ctime @7',
        'set_inode_field "/home/cirros" uid 1000',
        'set_inode_field "/home/cirros" gid 1001',
        'set_inode_field "/home/cirros" ctime @7',
    ]


# --- ramdisk -----------------------------------------------------------------------------------


def test_load_order_puts_each_module_after_what_it_needs() -> None:
    needs = {"net": ["failover", "virtio"], "failover": [], "virtio": ["ring"], "ring": []}
    assert ramdisk.load_order(["ring", "net"], needs) == ["ring", "failover", "virtio", "net"]


def test_load_order_names_a_module_that_the_kernel_lacks() -> None:
    with pytest.raises(GuestImageError, match="no module virtio_net"):
        ramdisk.load_order(["virtio_net"], {})


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        (b"ELF\0license=GPL\0depends=virtio,virtio_ring\0name=x\0", ["virtio", "virtio_ring"]),
        (b"ELF\0depends=\0name=x\0", []),
        (b"ELF", []),
    ],
)
def test_dependencies_are_read_from_the_module(module: bytes, needed: list[str]) -> None:
    assert ramdisk.dependencies(module) == needed


def test_drivers_lists_the_modules_in_the_order_they_load() -> None:
    kernel = {f"kernel/{name}.ko": tree.file(b"\0depends=bus\0") for name in ramdisk.DRIVERS}
    kernel["kernel/virtio-rng.ko"] = kernel.pop("kernel/virtio_rng.ko")
    kernel["kernel/bus.ko"] = tree.file(b"")
    kernel["kernel/unwanted.ko"] = tree.file(b"")

    drivers = ramdisk.drivers(kernel)

    order = drivers["lib/modules/order"].content.decode().split()
    assert order == ["bus.ko", *(f"{name}.ko" for name in ramdisk.DRIVERS)]
    assert set(drivers) == {"lib/modules/order", *(f"lib/modules/{name}" for name in order)}


def read_archive(archive: bytes) -> dict[str, tuple[int, int, bytes]]:
    """Read a "newc" archive: path to mode, owner and content."""
    data, offset = gzip.decompress(archive), 0
    files: dict[str, tuple[int, int, bytes]] = {}
    while True:
        assert data[offset : offset + 6] == b"070701"
        fields = [int(data[offset + 6 + 8 * n : offset + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = fields[6], fields[11]
        name_end = offset + 110 + name_size
        start = name_end + -name_end % 4
        name = data[offset + 110 : name_end - 1].decode()
        if name == "TRAILER!!!":
            return files
        files[name] = (fields[1], fields[2], data[start : start + size])
        offset = start + size + -size % 4


def test_archive_holds_folders_before_what_is_in_them() -> None:
    files = {
        "bin/sh": tree.link("busybox"),
        "home/cirros": tree.folder(0o700, uid=1000),
        "init": tree.file(b"#!/bin/sh\n", 0o755),
    }
    archive = ramdisk.archive(files, mtime=1)

    assert list(read_archive(archive).items()) == [
        ("bin", (stat.S_IFDIR | 0o755, 0, b"")),
        ("bin/sh", (stat.S_IFLNK | 0o777, 0, b"busybox")),
        ("home", (stat.S_IFDIR | 0o755, 0, b"")),
        ("home/cirros", (stat.S_IFDIR | 0o700, 1000, b"")),
        ("init", (stat.S_IFREG | 0o755, 0, b"#!/bin/sh\n")),
    ]
    assert archive == ramdisk.archive(dict(reversed(files.items())), mtime=1)


# --- rootfs ------------------------------------------------------------------------------------


def programs() -> tree.Tree:
    names = ("bin/busybox", "usr/bin/dbclient", "usr/sbin/dropbear", "usr/bin/dropbearkey")
    libraries = ("ld-linux-x86-64.so.2", "libc.so.6", "libcrypt.so.1", "libgmp.so.10")
    more_libraries = ("libtomcrypt.so.1", "libtommath.so.1")
    paths = [*names, "usr/sbin/really"]
    paths += [f"lib/x86_64-linux-gnu/{name}" for name in libraries + more_libraries]
    files = {path: tree.file(path.encode()) for path in paths}
    files["lib/x86_64-linux-gnu/libz.so.1"] = tree.link("libz.so.1.2.13")
    files["lib/x86_64-linux-gnu/libz.so.1.2.13"] = tree.file(b"zlib")
    return files


def test_root_filesystem_guards_what_gives_rights() -> None:
    scripts = {"etc/shadow": tree.file(b"secret"), "etc/inittab": tree.file(b"::sysinit:/rc\n")}
    root = rootfs.assemble(programs(), ["busybox", "ls"], scripts)

    assert stat.S_IMODE(root["etc/shadow"].mode) == 0o600
    assert stat.S_IMODE(root["bin/really"].mode) == 0o4755
    inittab = root["etc/inittab"]
    assert (stat.S_IMODE(inittab.mode), inittab.uid, inittab.gid) == (0o664, 0, 1000)
    set_uid = {path for path, node in root.items() if node.mode & stat.S_ISUID}
    assert set_uid == {"bin/busybox", "bin/really"}


def test_root_filesystem_follows_library_links_and_links_applets() -> None:
    scripts = {
        "bin/ls": tree.file(b"ours", 0o755),
        "etc/shadow": tree.file(b""),
        "etc/inittab": tree.file(b""),
    }
    root = rootfs.assemble(programs(), ["busybox", "cat", "ls"], scripts)

    assert root["lib/x86_64-linux-gnu/libz.so.1"].content == b"zlib"
    assert root["bin/cat"] == tree.link("busybox")
    assert root["bin/busybox"].content == b"bin/busybox", "no link to itself"
    assert root["bin/ls"].content == b"ours", "our scripts win"


def test_a_program_that_no_package_holds_is_named() -> None:
    with pytest.raises(GuestImageError, match="one file busybox"):
        tree.find({}, "busybox")


# --- packages ----------------------------------------------------------------------------------


def test_chosen_takes_the_kernel_that_the_meta_package_names() -> None:
    chosen = packages.chosen(APT_RECORDS)
    assert Package("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2") in chosen
    assert Package("busybox-static", "1:2") in chosen
    assert len(chosen) == len(packages.NAMES) + 1


def test_chosen_says_what_to_do_about_an_unknown_package() -> None:
    with pytest.raises(GuestImageError, match=r"no package busybox-static.* apt-get update"):
        packages.chosen(APT_RECORDS.replace("busybox-static", "other"))


def test_archive_name_is_the_one_apt_gives() -> None:
    archive = Package("busybox-static", "1:1.35.0-4+deb12u1+b1").archive
    assert archive == "busybox-static_1%3a1.35.0-4+deb12u1+b1_amd64.deb"


# --- manifest ----------------------------------------------------------------------------------


def test_images_come_after_those_they_refer_to() -> None:
    seen: set[str] = set()
    for image in manifest.images(SIZES, "console=ttyS0"):
        references = {image.properties.get("kernel_id"), image.properties.get("ramdisk_id")}
        assert references - {None} <= seen
        seen.add(image.name)
    assert seen == {
        "cirros-0.3.4-x86_64-uec",
        "cirros-0.3.4-x86_64-uec-kernel",
        "cirros-0.3.4-x86_64-uec-ramdisk",
        "cirros-0.3.4-x86_64-disk",
    }


def test_min_disk_is_rounded_up_and_only_for_disks() -> None:
    images = {image.file: image.min_disk for image in manifest.images(SIZES, "")}
    assert images == {"vmlinuz": 0, "initrd.gz": 0, "rootfs.qcow2": 1, "disk.qcow2": 2}


def test_written_manifest_describes_the_files(tmp_path: Path) -> None:
    for name in SIZES:
        (tmp_path / name).write_bytes(b"abc")
    manifest.write(tmp_path, manifest.images(SIZES, "console=ttyS0"), "digest")

    uec = json.loads((tmp_path / manifest.FILE).read_text())["images"][2]
    properties = uec.pop("properties")
    assert uec == {
        "name": "cirros-0.3.4-x86_64-uec",
        "file": "rootfs.qcow2",
        "disk_format": "qcow2",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "size": 3,
        "virtual_size": 64 * disk.MIB,
        "min_disk": 1,
        "min_ram": 96,
    }
    assert properties["kernel_id"] == "cirros-0.3.4-x86_64-uec-kernel"
    assert properties["os_command_line"] == "console=ttyS0"


def test_a_folder_is_current_until_inputs_or_files_change(tmp_path: Path) -> None:
    assert not manifest.is_current(tmp_path, "digest"), "nothing is built"
    for name in SIZES:
        (tmp_path / name).write_bytes(b"abc")
    manifest.write(tmp_path, manifest.images(SIZES, ""), "digest")
    assert manifest.is_current(tmp_path, "digest")
    assert not manifest.is_current(tmp_path, "other")
    (tmp_path / "disk.qcow2").write_bytes(b"ab")
    assert not manifest.is_current(tmp_path, "digest"), "a file is cut short"


def test_fingerprint_follows_sources_modes_and_versions() -> None:
    sources, chosen = {"a.py": tree.file(b"1")}, [Package("p", "1"), Package("q", "1")]
    digest = fingerprint(sources, chosen)

    assert fingerprint(sources, reversed(chosen)) == digest
    assert fingerprint({**sources, "__pycache__/a.pyc": tree.file(b"")}, chosen) == digest
    changed = [
        fingerprint({"a.py": tree.file(b"2")}, chosen),
        fingerprint({"a.py": tree.file(b"1", 0o755)}, chosen),
        fingerprint({"b.py": tree.file(b"1")}, chosen),
        fingerprint(sources, [Package("p", "2"), Package("q", "1")]),
    ]
    assert len({digest, *changed}) == 5


# --- host --------------------------------------------------------------------------------------


def test_missing_commands_are_named_with_their_packages() -> None:
    commands = {"no-such-a": "package-a", "no-such-b": "package-b", "sh": "dash"}
    with pytest.raises(GuestImageError) as failure:
        host.require(commands)
    assert str(failure.value) == (
        "Missing host commands: no-such-a, no-such-b. "
        "Install them: apt-get install --no-install-recommends package-a package-b"
    )
