"""One cluster for all tests of the stack: making one takes longer than most of them."""

import os
from collections.abc import Generator, Iterator

import pytest

from tests.live.stack import sight
from tests.live.stack.cloud import ROOT, Cloud, cloud_of, eventually
from tools.guest_image.build import build
from tools.testhosts import test_hosts


@pytest.fixture(scope="session")
def shared() -> Iterator[Cloud]:
    """The cluster, with the guest image, which is built if it is not there."""
    if os.geteuid() != 0:
        pytest.skip("test hosts need root")
    images = ROOT / "build" / "guest"
    build(images, ROOT / "build" / "guest-packages", print)
    with test_hosts(2) as hosts, cloud_of(hosts, images / "images.json") as made:
        before = everything(made)
        yield made
        made.mend(keep=False)
        eventually(lambda: everything(made) == before, "nothing is left of all tests")


def everything(cloud: Cloud) -> list[set[str]]:
    """What instances have on the hosts, and in the cluster's record."""
    return [*map(sight.traces, cloud.hosts), sight.records(cloud.head)]


@pytest.fixture
def cloud(shared: Cloud) -> Iterator[Cloud]:
    """The cluster, mended after the test."""
    yield shared
    shared.mend()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the actors have logged."""
    report = yield
    made = getattr(item, "funcargs", {}).get("shared")
    if report.failed and made is not None:
        for host in made.hosts:
            report.sections.append((f"what actors on {host.name} logged", sight.logged(host)))
    return report
