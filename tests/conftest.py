"""Markers by folder, and how many examples property tests try. Nothing here has side effects."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_MARKED_FOLDERS = {"ray": pytest.mark.ray, "live": pytest.mark.live}

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=500,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("NOVARAY_HYPOTHESIS", "ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies in tests/ray and tests/live carries the marker of its folder."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        if folder in _MARKED_FOLDERS:
            item.add_marker(_MARKED_FOLDERS[folder])
