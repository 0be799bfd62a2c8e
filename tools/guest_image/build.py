"""The build from end to end: decide whether there is work, do it aside, put it in place."""

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from tools.guest_image import disk, host, manifest, packages, ramdisk, rootfs, tree
from tools.guest_image.packages import Package
from tools.guest_image.tree import Tree

_HERE: Final = Path(__file__).parent
_GUEST: Final = _HERE / "guest"

#: The same for uec, where the host passes it on, and for the disk, where GRUB does. On a busy
#: machine an emulated timer comes too late for the kernel's check of it, which ends in a panic.
COMMAND_LINE: Final = f"root=LABEL={disk.ROOT_LABEL} console=tty1 console=ttyS0 no_timer_check"

#: Room for a test to write files; the disk also holds the kernel.
_ROOTFS_SIZE: Final = 64 * disk.MIB
_PARTITION_SIZE: Final = 95 * disk.MIB

#: Stamped on every file, so that the same inputs give the same bytes.
_MTIME: Final = 1_441_065_600

Say = Callable[[str], None]


def build(output: Path, cache: Path, say: Say) -> None:
    """Make `output` hold the current guest image.

    Args:
        output: The folder of the images and their manifest; replaced as a whole.
        cache: Where downloaded packages are kept.
        say: Told what is being done.
    """
    output, cache = output.resolve(), cache.resolve()
    with _only_one(output):
        chosen = packages.choose(cache)
        inputs = fingerprint(tree.from_folder(_HERE), chosen)
        if manifest.is_current(output, inputs):
            say(f"{output} is up to date")
            return
        host.require()
        with _scratch(output.with_name(f".{output.name}.work")) as work:
            result = work / "result"
            result.mkdir()
            _build_into(result, work, chosen, cache, say)
            images = manifest.images(_virtual_sizes(result), COMMAND_LINE)
            manifest.write(result, images, inputs)
            _put_in_place(result, output, aside=work / "replaced")
        for image in images:
            size = (output / image.file).stat().st_size
            say(f"{image.name}: {output / image.file}, {size / disk.MIB:.1f} MiB")


def fingerprint(sources: Tree, chosen: Iterable[Package]) -> str:
    """Return a digest of all that the images are made from."""
    digest = hashlib.sha256()
    for path, node in sorted(sources.items()):
        if not path.endswith(".pyc"):
            content = hashlib.sha256(node.content).hexdigest()
            digest.update(f"{path} {node.mode:o} {content}\n".encode())
    for package in sorted(chosen):
        digest.update(f"{package.name} {package.version}\n".encode())
    return digest.hexdigest()


def _build_into(result: Path, work: Path, chosen: list[Package], cache: Path, say: Say) -> None:
    """Build all the files; every step's scratch lies in `work`."""
    say(f"fetching {len(chosen)} Debian packages")
    packages.download(chosen, cache)

    say("unpacking the kernel")
    kernel_package = next(p for p in chosen if p.name.startswith("linux-image-"))
    kernel = packages.unpack(kernel_package, cache, _is_kernel_file)
    drivers = ramdisk.drivers(kernel)
    vmlinuz = next(node for path, node in kernel.items() if path.startswith("boot/"))
    (result / "vmlinuz").write_bytes(vmlinuz.content)

    say("assembling the root filesystem")
    programs: Tree = {}
    for package in chosen:
        if package is not kernel_package:
            programs |= packages.unpack(package, cache, rootfs.is_program_or_library)
    root = rootfs.assemble(programs, _applets(programs, work), tree.from_folder(_GUEST / "rootfs"))

    say("packing the ramdisk")
    init = tree.from_folder(_GUEST / "ramdisk")
    # A whole system, so that a guest whose root disk cannot be used still comes up.
    full = ramdisk.archive(root | drivers | init, mtime=_MTIME)
    (result / "initrd.gz").write_bytes(full)

    say("writing the root disk")
    disk.make_filesystem(root, work / "rootfs.raw", _ROOTFS_SIZE, mtime=_MTIME)
    disk.compress(work / "rootfs.raw", result / "rootfs.qcow2")

    say("writing the bootable disk")
    early = ramdisk.early_userland(root["bin/busybox"]) | drivers | init
    boot = {
        "boot/vmlinuz": vmlinuz,
        # A small one: GRUB reads it through the BIOS, which is slow.
        "boot/initrd.gz": tree.file(ramdisk.archive(early, mtime=_MTIME)),
    }
    disk.make_filesystem(root | boot, work / "partition.raw", _PARTITION_SIZE, mtime=_MTIME)
    grub_package = next(p for p in chosen if p.name == "grub-pc-bin")
    grub = packages.unpack(grub_package, cache, _is_grub_file)
    config = (_GUEST / "grub.cfg").read_text().replace("@COMMAND_LINE@", COMMAND_LINE)
    disk.make_bootable(work / "partition.raw", work / "disk.raw", grub, config.encode())
    disk.compress(work / "disk.raw", result / "disk.qcow2")


def _is_kernel_file(path: str) -> bool:
    return path.endswith(".ko") or path.startswith("boot/vmlinuz-")


def _is_grub_file(path: str) -> bool:
    return path.startswith("usr/lib/grub/i386-pc/")


def _applets(programs: Tree, work: Path) -> list[str]:
    """Ask the guest's own busybox which commands it has; it is linked statically."""
    binary = work / "busybox"
    binary.write_bytes(tree.find(programs, "busybox").content)
    binary.chmod(0o755)
    return host.run(binary, "--list").decode().split()


def _virtual_sizes(folder: Path) -> dict[str, int]:
    sizes = {name: (folder / name).stat().st_size for name in ("vmlinuz", "initrd.gz")}
    return sizes | {
        "rootfs.qcow2": _ROOTFS_SIZE,
        "disk.qcow2": disk.FIRST_SECTOR * 512 + _PARTITION_SIZE,
    }


def _put_in_place(result: Path, output: Path, aside: Path) -> None:
    """Swap the new folder in; a guest that runs from the old files keeps them open."""
    if output.exists():
        output.rename(aside)
    result.rename(output)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Give an empty folder that goes afterwards; what a killed build left in it goes first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _only_one(output: Path) -> Iterator[None]:
    """Make builds of the same folder wait for each other."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.with_name(f".{output.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
