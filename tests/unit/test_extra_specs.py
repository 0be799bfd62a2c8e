"""Which extra specs are taken, and what is said of the others."""

import pytest

from actors.model.errors import Invalid
from actors.model.extra_specs import SERVED, check_ceilings, check_extra_specs, number, truth


@pytest.mark.parametrize(
    "specs",
    [
        {},
        {"color": "red", "vendor:thing": "x", "no value": ""},
        {"quota:cpu_shares": "512", "quota:cpu_period": "100000", "quota:cpu_quota": "50000"},
        {"quota:disk_read_bytes_sec": "1048576", "quota:disk_write_iops_sec": "10"},
        {"quota:disk_total_bytes_sec": "1048576", "quota:disk_read_iops_sec": "10"},
        {"hw:watchdog_action": "poweroff", "hw:firmware_type": "uefi"},
        {"hw_rng:allowed": "True", "hw_rng:rate_bytes": "1024", "hw_rng:rate_period": "500"},
        {"novaray:shutdown_timeout": "0", "novaray:max_vcpus": "4", "novaray:max_memory_mb": "64"},
    ],
)
def test_what_is_taken(specs: dict[str, str]) -> None:
    check_extra_specs(specs)


@pytest.mark.parametrize(
    ("specs", "problem"),
    [
        ({"quota:cpu_share": "2"}, "the nearest that is: quota:cpu_shares"),
        ({"hw:watchdog": "reset"}, "the nearest that is: hw:watchdog_action"),
        ({"hw:cpu_policy": "dedicated"}, "not served here"),
        ({"resources:VGPU": "1"}, "not served here"),
        ({"resources1:VGPU": "1"}, "not served here"),
        ({"trait:HW_CPU_X86_AVX": "required"}, "not served here"),
        ({"novaray:max_memory": "1"}, "the nearest that is: novaray:max_memory_mb"),
        ({"quota:cpu_shares": "1"}, "must be 2 to 10000, not '1'"),
        ({"quota:cpu_shares": "-5"}, "must be 2 to 10000"),
        ({"quota:cpu_shares": "٣٣"}, "must be 2 to 10000"),
        ({"quota:cpu_shares": ""}, "must be 2 to 10000"),
        ({"quota:cpu_quota": "999"}, "must be 1000 to"),
        ({"quota:disk_read_iops_sec": "1e3"}, "must be 1 to"),
        ({"hw:watchdog_action": "Reset"}, "none, pause, poweroff, reset, disabled"),
        ({"hw_rng:allowed": "maybe"}, "true or false"),
        ({"hw:firmware_type": "efi"}, "bios, uefi"),
        ({"novaray:shutdown_timeout": "3601"}, "0 to 3600"),
        ({"hw_rng:rate_period": "5"}, "without hw_rng:rate_bytes"),
        (
            {"quota:disk_total_iops_sec": "5", "quota:disk_read_iops_sec": "5"},
            "cannot be had together",
        ),
        ({"a\nb": "x"}, "must have 1 to 255"),
        ({"": "x"}, "must have 1 to 255"),
        ({"<domain>": "x"}, "must have 1 to 255"),
        ({"a": "x" * 256}, "at most 255"),
        ({"a": "line\nline"}, "printable"),
        ({f"key {n}": "" for n in range(129)}, "128 are the limit"),
    ],
)
def test_what_is_not(specs: dict[str, str], problem: str) -> None:
    with pytest.raises(Invalid, match=problem) as refused:
        check_extra_specs(specs, "set")
    assert refused.value.reason == "EXTRA_SPEC_INVALID"
    assert list(refused.value.metadata) == ["set"]


def test_every_served_spec_says_what_it_is() -> None:
    for name, spec in SERVED.items():
        assert spec.values, name
        assert spec.meaning, name
        assert not spec.takes("no such value"), name


def test_ceilings_are_not_below_the_floor() -> None:
    specs = {"novaray:max_memory_mb": "512", "novaray:max_vcpus": "2"}
    check_ceilings(specs, 512, 2)
    for memory_mb, vcpus in ((513, 2), (512, 3)):
        with pytest.raises(Invalid, match="the flavor itself has"):
            check_ceilings(specs, memory_mb, vcpus)


def test_reading() -> None:
    specs = {"novaray:max_vcpus": "4", "hw_rng:allowed": "No"}
    assert number(specs, "novaray:max_vcpus") == 4
    assert number(specs, "novaray:max_memory_mb") is None
    assert truth(specs, "hw_rng:allowed", default=True) is False
    assert truth({}, "hw_rng:allowed", default=True) is True
