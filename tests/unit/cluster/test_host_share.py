"""What a host adds to its guests' data: vendor data, and a secret of its own."""

import stat
from pathlib import Path

import pytest

from cluster.config import Settings
from cluster.hypervisor import host_share
from cluster.trouble import Trouble
from cluster.vendor_data import read_vendor_data


def test_a_host_has_one_secret_and_nobody_reads_it(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "a")
    first = host_share(settings)
    assert len(first.secret) == 32
    assert host_share(settings) == first
    assert host_share(Settings(state_dir=tmp_path / "b")).secret != first.secret
    assert stat.S_IMODE((tmp_path / "a" / "guest-secret").stat().st_mode) == 0o600
    assert first.vendor_data == {}


def test_vendor_data_is_an_object_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "vendor.json"
    file.write_text('{"cloud-init": "#cloud-config"}')
    settings = Settings(state_dir=tmp_path, vendor_data=file)
    assert host_share(settings).vendor_data == {"cloud-init": "#cloud-config"}


@pytest.mark.parametrize("text", ["", "[]", '"text"', "{", "\xff"])
def test_vendor_data_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "vendor.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(Trouble, match="cannot be read"):
        read_vendor_data(file)
    with pytest.raises(Trouble, match="No such file"):
        read_vendor_data(tmp_path / "none")
