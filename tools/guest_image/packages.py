"""The Debian packages the guest is made of: which versions, and what is in them.

Packages are downloaded and read, never installed.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.guest_image import tree
from tools.guest_image.host import GuestImageError, run

#: Depends on the newest cloud kernel, which alone has the virtio drivers at 26 MB.
KERNEL_META: Final = "linux-image-cloud-amd64"

#: The userland, the libraries that dropbear and really are linked to, and GRUB's BIOS half.
NAMES: Final = (
    "busybox-static",
    "chiark-really",
    "dropbear-bin",
    "grub-pc-bin",
    "libc6",
    "libcrypt1",
    "libgmp10",
    "libtomcrypt1",
    "libtommath1",
    "zlib1g",
)

_ARCHITECTURE: Final = "amd64"
_REFRESH: Final = "Refresh the package lists: apt-get update"


@dataclass(frozen=True, order=True, slots=True)
class Package:
    """One version of one package."""

    name: str
    version: str

    @property
    def archive(self) -> str:
        """The file name under which apt-get stores the package."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{_ARCHITECTURE}.deb"


def choose(cache: Path) -> list[Package]:
    """Return the versions that apt would install now: those of `NAMES`, and a kernel.

    Args:
        cache: A folder for apt's parsed index, which makes all calls but the first fast.
    """
    cache.mkdir(parents=True, exist_ok=True)
    records = _apt(
        "apt-cache",
        f"--option=Dir::Cache={cache.resolve()}",
        "--option=Dir::Cache::pkgcache=apt-index.bin",
        "--option=Dir::Cache::srcpkgcache=",
        "--no-all-versions",
        "show",
        *(f"{name}:{_ARCHITECTURE}" for name in (*NAMES, KERNEL_META)),
        cwd=cache,
    )
    return chosen(records.decode())


def chosen(records: str) -> list[Package]:
    """Pick the packages to download out of what `apt-cache show` printed."""
    field = re.compile(r"^([\w-]+): (.*)$", re.MULTILINE)
    fields = [dict(field.findall(record)) for record in records.split("\n\n")]
    versions = {record["Package"]: record for record in fields if "Package" in record}
    missing = [name for name in (*NAMES, KERNEL_META) if name not in versions]
    if missing:
        raise GuestImageError(f"apt knows no package {', '.join(missing)}. {_REFRESH}")
    kernel = re.search(r"(linux-image-\S+) \(= (\S+)\)", versions[KERNEL_META].get("Depends", ""))
    if kernel is None:
        raise GuestImageError(f"{KERNEL_META} does not name one kernel. {_REFRESH}")
    return sorted(
        [Package(name, versions[name]["Version"]) for name in NAMES]
        + [Package(kernel[1], kernel[2])]
    )


def download(packages: Iterable[Package], cache: Path) -> None:
    """Fetch the packages into `cache`; apt verifies them, and skips those already there."""
    _apt(
        "apt-get",
        "--quiet",
        "--option=Acquire::Retries=3",
        "--option=APT::Sandbox::User=",
        "download",
        *(f"{package.name}:{_ARCHITECTURE}={package.version}" for package in packages),
        cwd=cache,
    )


def _apt(*command: str, cwd: Path) -> bytes:
    """Run one of apt's commands; what mostly ails them is an old list of packages."""
    try:
        return run(*command, cwd=cwd)
    except GuestImageError as error:
        raise GuestImageError(f"{error}\n{_REFRESH}") from error


def unpack(package: Package, cache: Path, keep: Callable[[str], bool]) -> tree.Tree:
    """Read the files of a downloaded package whose path `keep` accepts."""
    return tree.from_tar(run("dpkg-deb", "--fsys-tarfile", cache / package.archive), keep)
