"""Following an operation to its end, with a bar where a person looks.

An operation is durable: whoever follows it may lose the gateway, or go away, without harm to it.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gateway.cli.failures import Failure
from gateway.cli.resolve import as_uuid
from gateway.cli.statuses import failure_of, told_by
from gateway.cli.views import operations as view
from gateway.cli.views.instances import host_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.longrunning.operations_pb2 import Operation

    from gateway.cli.client import Client
    from gateway.cli.output import Output
    from protos.novaray.v1.instances_pb2 import InstanceOperationMetadata

    #: Told of each state the operation is seen in.
    Show = Callable[[Operation], None]

#: The server answers at the end of the operation, or after so long: how often the bar moves.
_LOOK_SECONDS: Final = 0.4
#: A gateway that answers sooner than asked is not asked again at once.
_LEAST_SECONDS: Final = 0.1
#: How long the gateway may be away.
_PATIENCE_SECONDS: Final = 120.0

#: What is being done to the server whose name follows.
VERBS: Final = {
    "create": "Building",
    "delete": "Deleting",
    "soft_delete": "Deleting",
    "restore": "Restoring",
    "start": "Starting",
    "stop": "Stopping",
    "reboot": "Rebooting",
    "pause": "Pausing",
    "unpause": "Unpausing",
    "suspend": "Suspending",
    "resume": "Resuming",
    "rebuild": "Rebuilding",
    "rescue": "Rescuing",
    "unrescue": "Ending the rescue of",
    "resize": "Resizing",
    "change_size": "Changing the size of",
    "confirm_resize": "Confirming the resize of",
    "attach_volume": "Attaching a volume to",
    "detach_volume": "Detaching a volume from",
    "take_snapshot": "Taking a snapshot of",
    "restore_snapshot": "Restoring a snapshot of",
    "delete_snapshot": "Deleting a snapshot of",
    "revert_resize": "Reverting the resize of",
    "create_image": "Making an image of",
    "create_backup": "Backing up",
    "shelve": "Shelving",
    "shelve_offload": "Offloading",
    "unshelve": "Unshelving",
}


def follow(client: Client, out: Output, operation: Operation, name: str) -> Operation:
    """Wait for the end of an operation and show how far it is.

    Args:
        client: The connection.
        out: Where progress is shown.
        operation: The operation, as the server last told it.
        name: What its instance is called.

    Returns:
        The operation once it has ended well.

    Raises:
        Failure: It failed or was cancelled, or the gateway stayed away.
    """
    operation_id = view.operation_id(operation)
    try:
        with _shown(out, name) as show:
            show(operation)
            while not operation.done:
                operation = _look(client, operation_id)
                show(operation)
    except KeyboardInterrupt:
        out.notice(_goes_on(operation_id))
        raise
    if operation.HasField("error"):
        raise failure_of_operation(client, operation)
    return operation


def failure_of_operation(client: Client, operation: Operation) -> Failure:
    """Why an operation failed: its error, and for each host what went wrong there."""
    meta = view.metadata(operation)
    told = failure_of(told_by(operation.error))
    hosts = _hosts_of_fault(client, meta)
    known = "\n".join(told.details)
    details = [line for line in host_lines(hosts) if line not in known]
    return Failure(
        told.message,
        told.reason,
        code=told.code,
        hint=told.hint or f'See "nova operation show {view.operation_id(operation)}".',
        details=[*told.details, *details],
        data={**told.data, "hosts": dict(hosts), "operation": view.as_json(operation)},
    )


def description(meta: InstanceOperationMetadata, name: str) -> str:
    """``Building web: disk (attempt 2), waiting for libvirt on h1``."""
    verb = VERBS.get(view.action(meta), "Working on")
    text = f"{verb} {name}"
    if meta.step:
        text += f": {meta.step}"
    if view.state(meta) == "undoing":
        text += " (undoing)"
    if meta.attempt > 1:
        text += f" (attempt {meta.attempt})"
    if meta.waiting_for:
        text += f", waiting for {meta.waiting_for}"
    return text


def _look(client: Client, operation_id: str) -> Operation:
    """The operation's next state; patient with a gateway that is away for a while."""
    started = time.monotonic()
    pause = threading.Event()
    while True:
        try:
            operation = client.wait_operation(operation_id, _LOOK_SECONDS)
        except Failure as failure:
            if not failure.passing or time.monotonic() - started > _PATIENCE_SECONDS:
                raise failure.with_hint(_goes_on(operation_id)) from failure
            pause.wait(_LOOK_SECONDS)
            continue
        if not operation.done:
            pause.wait(max(0.0, _LEAST_SECONDS - (time.monotonic() - started)))
        return operation


def _goes_on(operation_id: str) -> str:
    return f'The operation goes on. Follow it with "nova operation wait {operation_id}".'


def _hosts_of_fault(client: Client, meta: InstanceOperationMetadata) -> dict[str, str]:
    if as_uuid(meta.instance.rpartition("/")[2]) is None:
        return {}
    try:
        return dict(client.get_instance(meta.instance).fault.hosts)
    except Failure:
        # Gone already, or not to be reached: the operation's own error has to do.
        return {}


@contextmanager
def _shown(out: Output, name: str) -> Iterator[Show]:
    if out.animated:
        with _bar(name) as show:
            yield show
    else:
        yield _lines(out, name)


def _lines(out: Output, name: str) -> Show:
    """A line for each thing that changes, for logs and pipes."""
    last = ""

    def show(operation: Operation) -> None:
        nonlocal last
        meta = view.metadata(operation)
        line = f"{description(meta, name)} ({meta.progress_percent}%)"
        if line != last and not operation.done:
            out.notice(line)
        last = line

    return show


@contextmanager
def _bar(name: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    # Gone at the end: what came of it is said in a sentence.
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        task = progress.add_task(name, total=100)

        def show(operation: Operation) -> None:
            meta = view.metadata(operation)
            progress.update(
                task,
                completed=meta.progress_percent,
                description=description(meta, name),
                refresh=True,
            )

        yield show
