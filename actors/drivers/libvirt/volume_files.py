"""Volumes as qcow2 files: made when they are first attached, complete when they have their name.

A volume stands by itself. What it begins as, an image or a snapshot, is copied: it outlives both.
"""

import secrets
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.drivers.libvirt.errors import refused
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.drivers.libvirt.settle import settle
from actors.model.errors import NotFound
from actors.model.ids import SnapshotId, VolumeId
from actors.model.image import DiskFormat
from actors.model.instance import AttachedVolume

_GIB: Final = 1024**3
_FOLDER_MODE: Final = 0o711  # QEMU's own user passes through; nobody lists
_SNAPSHOTS: Final = "snapshots"
_TEMPORARY: Final = ".new"
_PARTIAL: Final = ".part"
_MAKE_SECONDS: Final = 60.0
#: To copy a volume or an image takes as long as it takes.
_COPY_SECONDS: Final = 6 * 3600.0


class VolumeFiles:
    """The volumes of one host, or of a folder that hosts share. Blocking; ids are UUIDs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, volume: VolumeId) -> Path:
        """Where its bytes lie."""
        return self._folder / f"{volume}.qcow2"

    def owns(self, path: str) -> bool:
        """Whether this is a volume's file."""
        return Path(path).parent == self._folder

    def is_made(self, volume: VolumeId) -> bool:
        """Whether it has bytes."""
        return self.path(volume).exists()

    def ensure(self, volume: AttachedVolume, base: Path | None) -> None:
        """Make it unless it is there, and make it as large as it should be.

        Nobody may have it open who would not see it grow.

        Args:
            volume: What it should be.
            base: Its image, where it begins as one and is not made yet.

        Raises:
            NotFound: Its snapshot, or its image, is not on this host.
            Exhausted: The disk is full.
            HypervisorRefused: qemu-img refuses.
        """
        path = self.path(volume.volume)
        if not path.exists():
            self._make(volume, base, path)
        _grow(path, volume.size_gb * _GIB)

    def grow(self, volume: VolumeId, size_gb: int) -> None:
        """Make it as large as this. It may have no bytes yet; nobody may have it open.

        Raises:
            HypervisorRefused: qemu-img refuses: somebody has it open.
        """
        path = self.path(volume)
        if path.exists():
            _grow(path, size_gb * _GIB)

    def remove(self, volume: VolumeId) -> None:
        """Remove its bytes; none is no error."""
        self.path(volume).unlink(missing_ok=True)

    def copy(self, volume: VolumeId, snapshot: SnapshotId) -> None:
        """Keep it as it is now; a snapshot that is there is no error.

        Raises:
            NotFound: It has no bytes here.
        """
        source, target = self.path(volume), self.snapshot_path(snapshot)
        if target.exists():
            return
        if not source.exists():
            raise NotFound(f"Volume {volume} is not on its host.", "VOLUME_NOT_FOUND", str(source))
        self._copy(source, DiskFormat.QCOW2, target)

    def partial_path(self, snapshot: SnapshotId) -> Path:
        """Where a snapshot is copied to beside a guest, until it is whole; the folder is there."""
        path = self.snapshot_path(snapshot).with_suffix(_PARTIAL)
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        return path

    def snapshot_path(self, snapshot: SnapshotId) -> Path:
        """Where a snapshot's bytes lie."""
        return self._folder / _SNAPSHOTS / f"{snapshot}.qcow2"

    def remove_snapshot(self, snapshot: SnapshotId) -> None:
        """Remove a snapshot's bytes; none is no error."""
        self.partial_path(snapshot).unlink(missing_ok=True)
        self.snapshot_path(snapshot).unlink(missing_ok=True)

    def _make(self, volume: AttachedVolume, base: Path | None, path: Path) -> None:
        if volume.snapshot is not None:
            snapshot = self.snapshot_path(volume.snapshot)
            # One of a volume without bytes has none either: then it begins as its image does.
            if snapshot.exists():
                self._copy(snapshot, DiskFormat.QCOW2, path)
                return
        if volume.source is None:
            with _new(path) as new:
                size = str(volume.size_gb * _GIB)
                _run(("create", "-q", "-f", "qcow2", str(new), size), f"make {_name(path)}")
                settle(new, path)
            return
        if base is None:
            raise NotFound(
                f"Image {volume.source.image} is not on the instance's host.", "IMAGE_NOT_CACHED"
            )
        self._copy(base, volume.source.disk.disk_format, path)

    def _copy(self, source: Path, disk_format: DiskFormat, path: Path) -> None:
        with _new(path) as new:
            arguments = ("convert", "-f", str(disk_format), "-O", "qcow2", str(source), str(new))
            _run(arguments, f"copy {_name(path)}", _COPY_SECONDS)
            settle(new, path)


class _new:
    """A file beside the one that it becomes; gone if it does not."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        # A name of its own: what a killed process left may still be written to.
        self._path = path.with_name(f"{path.stem}.{secrets.token_hex(4)}{_TEMPORARY}")
        for left_over in path.parent.glob(f"{path.stem}.*{_TEMPORARY}"):
            left_over.unlink(missing_ok=True)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()


def _name(path: Path) -> str:
    return f"volume {path.stem}"


def _grow(path: Path, size: int) -> None:
    if Qcow2Header.read(path).virtual_size < size:
        _run(("resize", "-q", "-f", "qcow2", str(path), str(size)), f"extend {_name(path)}")


def _run(arguments: tuple[str, ...], action: str, seconds: float = _MAKE_SECONDS) -> None:
    try:
        done = subprocess.run(
            ("qemu-img", *arguments), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise refused(action, f"qemu-img: {error}") from error
    if done.returncode != 0:
        raise refused(action, f"qemu-img: {done.stderr.strip()}")
