"""Images of instances: what they say, and whose they are once their operation is cut off."""

import pytest

from actors.model.details import Backup, Snapshot
from actors.model.extra_specs import FirmwareType
from actors.model.ids import ImageId
from actors.model.image import Image, ImageStatus
from actors.model.instance import InstanceRecord
from actors.model.operation import Action, OperationState, StepEntry, StepState
from actors.sagas.saga import Cluster, Work
from actors.sagas.snapshot import begin_image, unfinished_image
from gateway.app.boot_source import boot_source
from tests.local.records import NOW, SOURCE, instance, operation

IMAGE = ImageId("0a0a0a0a-0000-4000-8000-000000000001")
DETAILS = Snapshot(image=IMAGE)


class Images:
    def __init__(self) -> None:
        self.made: list[Image] = []

    async def create(self, image: Image) -> Image:
        self.made.append(image)
        return image


async def made(record: InstanceRecord, action: Action = Action.CREATE_IMAGE) -> Image:
    images = Images()
    cluster = Cluster(None, None, None, images)  # type: ignore[arg-type]
    await begin_image(Work(record, operation(record, action, details=DETAILS), cluster))
    (image,) = images.made
    return image


@pytest.mark.parametrize("action", [Action.CREATE_IMAGE, Action.SHELVE])
async def test_its_name_is_no_longer_than_a_name_may_be(action: Action) -> None:
    image = await made(instance(name="n" * 255), action)
    assert len(image.name) == 255


async def test_its_guest_starts_as_the_instance_does() -> None:
    """What the instance took over from its image's properties, one of the new image does, too."""
    source = SOURCE.evolve(
        command_line="quiet",
        shutdown_timeout=90,
        firmware=FirmwareType.UEFI,
        kernel=None,
        ramdisk=None,
    )
    image = await made(instance(source=source))
    assert image.properties["instance_uuid"] == instance().id
    again = boot_source(image.evolve(status=ImageStatus.ACTIVE), {})
    assert again.command_line == "quiet"
    assert (again.shutdown_timeout, again.firmware) == (90, FirmwareType.UEFI)


async def test_a_firmware_of_the_flavor_s_goes_with_the_disk() -> None:
    """The disk was written by a guest that UEFI started: no other flavor may start it otherwise."""
    record = instance()
    flavor = record.flavor.evolve(extra_specs={"hw:firmware_type": "uefi"})
    image = await made(record.evolve(flavor=flavor))
    assert image.properties["hw_firmware_type"] == "uefi"


def entry(name: str, state: StepState = StepState.SUCCEEDED) -> StepEntry:
    return StepEntry(name=name, attempt=1, state=state, started=NOW, finished=NOW)


COPIED = (entry("begin"), entry("copy"))
SENT = (*COPIED, entry("upload"))


@pytest.mark.parametrize(
    ("action", "steps", "state", "left"),
    [
        (Action.CREATE_IMAGE, (), OperationState.RUNNING, True),
        (Action.CREATE_IMAGE, COPIED, OperationState.RUNNING, True),
        (Action.CREATE_IMAGE, SENT, OperationState.RUNNING, False),
        (Action.CREATE_IMAGE, SENT, OperationState.UNDOING, True),
        (Action.CREATE_BACKUP, SENT, OperationState.RUNNING, False),
        (Action.SHELVE, SENT, OperationState.RUNNING, True),
    ],
)
def test_what_an_operation_that_is_cut_off_leaves(
    action: Action, steps: tuple[StepEntry, ...], state: OperationState, left: bool
) -> None:
    backup = Backup(kind="daily", rotation=1) if action is Action.CREATE_BACKUP else None
    details = DETAILS.evolve(backup=backup)
    cut = operation(instance(), action, details=details, steps=steps, state=state)
    assert unfinished_image(cut) == (IMAGE if left else None)


def test_what_was_left_to_a_soft_delete_is_left_to_the_delete_after_it() -> None:
    soft = operation(instance(), Action.SOFT_DELETE, unfinished_image=IMAGE)
    assert unfinished_image(soft) == IMAGE
    assert unfinished_image(operation(instance(), Action.STOP)) is None
