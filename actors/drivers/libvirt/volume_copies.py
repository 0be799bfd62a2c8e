"""Copies of volumes that instances have: each is a snapshot once it is whole."""

from typing import Final

import libvirt

from actors.drivers.libvirt.copy_jobs import CopyJobs
from actors.drivers.libvirt.plugs import target_of
from actors.drivers.libvirt.settle import settle
from actors.drivers.libvirt.volume_files import VolumeFiles
from actors.model.errors import NotFound, Unavailable
from actors.model.ids import InstanceId, SnapshotId, VolumeId

#: A guest that must start does not wait for the lock of a qemu-img that outlived its actor: what
#: that one copies is nobody's any more.
_NO_LOCK: Final = "-U"


class VolumeCopies:
    """Of one host. Blocking. ``domain`` is the instance's where it runs."""

    def __init__(self, files: VolumeFiles, jobs: CopyJobs) -> None:
        self._files = files
        self._jobs = jobs

    def begin(
        self,
        conn: libvirt.virConnect,
        domain: libvirt.virDomain | None,
        instance: InstanceId,
        volume: VolumeId,
        snapshot: SnapshotId,
    ) -> bool:
        """As ``Hypervisor.begin_volume_copy``."""
        source, partial = self._files.path(volume), self._files.partial_path(snapshot)
        target = None if domain is None else target_of(domain, source)
        if self._files.snapshot_path(snapshot).exists() or self._jobs.are_of(partial):
            return target is not None
        if not source.exists():
            raise NotFound(f"Volume {volume} is not on its host.", "VOLUME_NOT_FOUND", str(source))
        if domain is None or target is None:
            self._jobs.begin_offline(source, partial, _NO_LOCK)
            return False
        other = self._jobs.other_in_guest(domain, instance)
        if other is not None:
            raise Unavailable(
                f"Another disk of instance {instance} is being copied; this one waits for that.",
                "COPY_WAITS",
                other.name,
            )
        self._jobs.begin_in_guest(conn, domain, instance, target, partial)
        return True

    def done(
        self,
        conn: libvirt.virConnect,
        domain: libvirt.virDomain | None,
        instance: InstanceId,
        volume: VolumeId,
        snapshot: SnapshotId,
    ) -> bool:
        """As ``Hypervisor.volume_copy_done``."""
        path, partial = self._files.snapshot_path(snapshot), self._files.partial_path(snapshot)
        if path.exists():
            return True
        offline = partial in self._jobs.offline()
        if not self._jobs.is_made(conn, instance, partial):
            return False
        if offline and domain is not None and target_of(domain, self._files.path(volume)):
            # Somebody started it by hand, past our locks: the copy is of no one moment.
            raise Unavailable(
                f"The guest of instance {instance} was started while its disk was copied. The copy "
                "is made anew.",
                "COPY_INTERRUPTED",
            )
        settle(partial, path)
        return True

    def end(
        self, domain: libvirt.virDomain | None, instance: InstanceId, snapshot: SnapshotId
    ) -> None:
        """As ``Hypervisor.end_volume_copy``."""
        partial = self._files.partial_path(snapshot)
        self._jobs.stop_offline(partial)
        if self._jobs.is_in_guest(instance, partial):
            if domain is None:
                self._jobs.forget(instance)
            else:
                self._jobs.interrupt(domain, instance)
        partial.unlink(missing_ok=True)
