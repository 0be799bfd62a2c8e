"""Markers by folder, how many examples property tests try, and what gRPC logs."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A line of gRPC's own, on its way since the test before, would stand among those that a test reads.
# It looks when it is imported, which is after this.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

_PROPERTY_SECONDS = 600
_MARKED_FOLDERS = {"ray": pytest.mark.ray, "live": pytest.mark.live}

# How long examples take to draw says how busy the machine is.
_SLOW = [HealthCheck.too_slow]
settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=_SLOW)
for _profile, _examples in {"ci": 100, "nightly": 2000}.items():
    settings.register_profile(
        _profile,
        max_examples=_examples,
        deadline=None,
        derandomize=True,
        print_blob=True,
        suppress_health_check=_SLOW,
    )
settings.load_profile(os.environ.get("NOVARAY_HYPOTHESIS", "ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies in tests/ray and tests/live carries the marker of its folder.

    Property tests of whole machines run long, and longer on a machine with other work: what ends
    them is their number of examples. The limit is for one that hangs.
    """
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        if folder in _MARKED_FOLDERS:
            item.add_marker(_MARKED_FOLDERS[folder])
        if folder == "model" or hasattr(getattr(item, "obj", None), "hypothesis"):
            item.add_marker(pytest.mark.timeout(_PROPERTY_SECONDS))
