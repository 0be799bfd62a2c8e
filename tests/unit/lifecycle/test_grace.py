"""Who decides how long a guest may take to shut down."""

import pytest

from actors.lifecycle.grace import grace_of
from actors.model.commands import DEFAULT_GRACE_SECONDS
from actors.model.details import Reboot
from actors.model.operation import Action
from tests.local.records import command, instance


@pytest.mark.parametrize(
    ("asked", "flavor", "image", "seconds"),
    [
        (None, None, None, DEFAULT_GRACE_SECONDS),
        (None, None, 90, 90),
        (None, "20", 90, 20),
        (None, "0", 90, 0),
        (5, "20", 90, 5),
        (0, "20", None, 0),
    ],
)
def test_the_caller_then_the_flavor_then_the_image(
    asked: float | None, flavor: str | None, image: int | None, seconds: float
) -> None:
    record = instance()
    specs = {} if flavor is None else {"novaray:shutdown_timeout": flavor}
    record = record.evolve(
        flavor=record.flavor.evolve(extra_specs=specs),
        source=record.source.evolve(shutdown_timeout=image),
    )
    for action in (Action.STOP, Action.REBOOT):
        asking = command(record, action).model_copy(update={"grace_seconds": asked})
        assert grace_of(record, asking) == seconds


def test_a_hard_reboot_gives_none() -> None:
    record = instance()
    hard = {"details": Reboot(hard=True), "grace_seconds": 30.0}
    assert grace_of(record, command(record, Action.REBOOT).model_copy(update=hard)) == 0
