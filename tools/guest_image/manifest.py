"""`images.json`: what each built file is, in the words an image service registers it with."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal

from tools.guest_image.rootfs import VERSION

FILE: Final = "images.json"
NAME: Final = f"cirros-{VERSION}-x86_64"

#: With 64 MiB the kernel cannot unpack itself.
MIN_RAM_MIB: Final = 96
_GIB: Final = 1024**3

DiskFormat = Literal["qcow2", "aki", "ari"]


@dataclass(frozen=True, slots=True)
class Image:
    """One image to register."""

    name: str
    #: The file, in the folder of the manifest.
    file: str
    disk_format: DiskFormat
    #: Size in bytes of the disk the guest sees; of a kernel or ramdisk, that of the file.
    virtual_size: int
    #: `kernel_id` and `ramdisk_id` name other images; who registers them puts ids instead.
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def min_disk(self) -> int:
        """The smallest root disk in GiB; kernels and ramdisks take none."""
        return -(-self.virtual_size // _GIB) if self.disk_format == "qcow2" else 0


def images(sizes: Mapping[str, int], command_line: str) -> list[Image]:
    """Return the images, each after those that it refers to.

    Args:
        sizes: The virtual size of each file.
        command_line: What the kernel is told when it is booted without a boot loader.
    """
    common = {"architecture": "x86_64", "os_distro": "cirros", "os_version": VERSION}
    kernel, ramdisk = f"{NAME}-uec-kernel", f"{NAME}-uec-ramdisk"
    triple = {"kernel_id": kernel, "ramdisk_id": ramdisk, "os_command_line": command_line}
    return [
        Image(kernel, "vmlinuz", "aki", sizes["vmlinuz"], common),
        Image(ramdisk, "initrd.gz", "ari", sizes["initrd.gz"], common),
        Image(f"{NAME}-uec", "rootfs.qcow2", "qcow2", sizes["rootfs.qcow2"], common | triple),
        Image(f"{NAME}-disk", "disk.qcow2", "qcow2", sizes["disk.qcow2"], common),
    ]


def write(folder: Path, built: list[Image], inputs: str) -> None:
    """Write the manifest beside the files it describes.

    Args:
        folder: Where the files are.
        built: The images.
        inputs: The digest of what they were built from.
    """
    entries = []
    for image in built:
        content = (folder / image.file).read_bytes()
        entries.append(
            asdict(image)
            | {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "min_disk": image.min_disk,
                "min_ram": MIN_RAM_MIB,
            }
        )
    text = json.dumps({"inputs": inputs, "images": entries}, indent=2)
    (folder / FILE).write_text(f"{text}\n")


def is_current(folder: Path, inputs: str) -> bool:
    """Say whether the folder holds what a build from these inputs would give."""
    try:
        manifest = json.loads((folder / FILE).read_text())
        return manifest["inputs"] == inputs and all(
            (folder / image["file"]).stat().st_size == image["size"] for image in manifest["images"]
        )
    except (OSError, ValueError, KeyError):
        return False
