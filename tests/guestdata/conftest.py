"""A metadata service for tests."""

from collections.abc import Iterator

import pytest

from tests.guestdata.metadata_service import Service, serving


@pytest.fixture
def service() -> Iterator[Service]:
    """One with two guests."""
    with serving() as made:
        yield made
