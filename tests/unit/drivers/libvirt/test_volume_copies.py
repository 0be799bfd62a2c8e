"""Copies of volumes that guests have: one at a time, and never taken for another's."""

from pathlib import Path
from typing import Any, cast

import libvirt
import pytest

from actors.drivers.libvirt import domains, volume_copies
from actors.drivers.libvirt.copy_jobs import CopyJobs
from actors.drivers.libvirt.volume_copies import VolumeCopies
from actors.drivers.libvirt.volume_files import VolumeFiles
from actors.model.errors import ComputeError, HypervisorRefused, NotFound, Unavailable
from actors.model.ids import InstanceId, SnapshotId, VolumeId

VM, V, S, T = InstanceId("i"), VolumeId("v"), SnapshotId("s"), SnapshotId("t")
OPERATION = libvirt.VIR_DOMAIN_JOB_OPERATION
BACKUP: dict[str, object] = {OPERATION: libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP}
CONN = cast("libvirt.virConnect", None)


class Guest:
    """A domain that runs and has one volume, as libvirt shows it."""

    def __init__(self, folder: Path) -> None:
        self.files = VolumeFiles(folder)
        self.files.path(V).touch()
        self.jobs = CopyJobs()
        self.copies = VolumeCopies(self.files, self.jobs)
        self.active = True
        self.running: dict[str, object] = {}
        self.ended: dict[str, object] = {}

    # What libvirt has

    def isActive(self) -> bool:
        return self.active

    def jobStats(self, flags: int) -> dict[str, object]:
        return self.ended if flags else self.running

    def abortJob(self) -> None:
        self.running = {}

    def backupBegin(self, xml: str, *_: object) -> None:
        assert not self.running, "libvirt knows one job a domain"
        self.running = BACKUP
        partial = next(path for path in (self.part(S), self.part(T)) if str(path) in xml)
        partial.touch()

    # What a test does

    def part(self, snapshot: SnapshotId) -> Path:
        return self.files.partial_path(snapshot)

    def begin(self, snapshot: SnapshotId = S) -> bool:
        return self.copies.begin(CONN, cast("Any", self), VM, V, snapshot)

    def done(self, snapshot: SnapshotId = S) -> bool:
        return self.copies.done(CONN, cast("Any", self), VM, V, snapshot)

    def end(self, snapshot: SnapshotId = S) -> None:
        self.copies.end(cast("Any", self) if self.active else None, VM, snapshot)

    def ends(self, **how: object) -> None:
        """The job is over."""
        self.running, self.ended = {}, {**BACKUP, **how}


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guest:
    made = Guest(tmp_path)
    monkeypatch.setattr(domains, "find", lambda *_: (made, None))
    monkeypatch.setattr(domains, "disk_targets", lambda *_: {"vda", "vdb"})
    monkeypatch.setattr(volume_copies, "target_of", lambda *_: "vdb")
    return made


def reason(call: Any, *arguments: object) -> str:
    with pytest.raises(ComputeError) as caught:
        call(*arguments)
    return caught.value.reason


def test_a_copy_has_its_name_once_it_is_whole(guest: Guest) -> None:
    assert guest.begin()
    assert guest.begin()  # asked again while it is made
    assert not guest.done()
    assert not guest.files.snapshot_path(S).exists()
    guest.ends()
    assert guest.done()
    assert guest.files.snapshot_path(S).exists()
    guest.end()
    assert guest.done()
    assert guest.begin()
    assert guest.running == {}


def test_one_waits_for_another_of_the_same_guest(guest: Guest) -> None:
    guest.begin()
    assert reason(guest.begin, T) == "COPY_WAITS"
    guest.ends()
    assert guest.begin(T)
    # The other's end is not taken for its own.
    assert reason(guest.done) == "COPY_INTERRUPTED"
    guest.end()
    assert guest.running == BACKUP
    guest.ends()
    assert guest.done(T)


def test_a_job_of_nobody_is_ended(guest: Guest) -> None:
    """Its actor died: nobody knows what it wrote."""
    guest.running = BACKUP
    assert guest.begin()
    assert not guest.done()


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "interrupted"])
def test_a_copy_that_is_cut_off_is_none(guest: Guest, stopped: bool) -> None:
    guest.begin()
    if stopped:
        guest.active = False
    else:
        guest.jobs.interrupt(cast("Any", guest), VM)
        guest.ends()  # of another's job
    assert reason(guest.done) == "COPY_INTERRUPTED"
    guest.end()
    assert not guest.part(S).exists()
    guest.active, guest.running = True, {}
    assert guest.begin()
    assert guest.running == BACKUP


def test_what_qemu_cannot_copy_is_refused(guest: Guest) -> None:
    guest.begin()
    guest.ends(**{libvirt.VIR_DOMAIN_JOB_SUCCESS: False, libvirt.VIR_DOMAIN_JOB_ERRMSG: "broken"})
    with pytest.raises(HypervisorRefused):
        guest.done()
    guest.end()
    assert list(guest.part(S).parent.iterdir()) == []


def test_what_is_not_there_is_not_copied(guest: Guest) -> None:
    guest.files.path(V).unlink()
    with pytest.raises(NotFound):
        guest.begin()


def test_libvirt_away_is_no_end(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    guest.begin()

    def away(*_: object) -> None:
        raise libvirt.libvirtError("away")

    with monkeypatch.context() as patch:
        patch.setattr(domains, "find", away)
        with pytest.raises(libvirt.libvirtError):
            guest.done()
    assert not guest.done()
    guest.ends()
    assert guest.done()


def test_nobody_knows_of_it_is_no_copy(guest: Guest) -> None:
    with pytest.raises(Unavailable):
        guest.done()
