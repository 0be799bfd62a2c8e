"""Bringing an image's bytes up and down: in streams that go on where the last one was cut off."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from gateway.cli.failures import Failure
from protos.novaray.v1.images_pb2 import Image, UploadImageRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.cli.client import Client
    from gateway.cli.output import Output

    #: Told how many bytes are done.
    Show = Callable[[int], None]

#: What goes into one message.
PART: Final = 1024 * 1024
#: What one stream carries at most: at 500 KB/s it takes as long as a stream may.
STREAM: Final = 256 * PART
#: How long nothing may go on before it is given up, seconds.
PATIENCE_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.5
#: After these another stream may get further.
_PASSING: Final = ("DEADLINE_EXCEEDED", "UNAVAILABLE")


def checksum(file: BinaryIO, out: Output) -> tuple[int, str]:
    """Size and SHA-256 of a file, read from its beginning."""
    digest = hashlib.sha256()
    file.seek(0, 2)
    total = file.tell()
    file.seek(0)
    with bar(out, "Checking", total) as show:
        while part := file.read(PART):
            digest.update(part)
            show(file.tell())
    return total, digest.hexdigest()


def upload(
    client: Client, out: Output, file: BinaryIO, image: Image, size: int, sha256: str
) -> Image:
    """Bring a file, from where the image's bytes end by now.

    Returns:
        The image, ACTIVE.

    Raises:
        Failure: The server refuses it, or nothing went on for ``PATIENCE_SECONDS``.
    """
    offset = image.uploaded_size_bytes
    patience = _Patience()
    with bar(out, f"Uploading {image.display_name}", size) as show:
        while True:
            start = UploadImageRequest.Start(
                name=image.name, offset=offset, size_bytes=size, sha256=sha256
            )
            try:
                image = client.upload_image(start, _parts(file, offset, show))
                if image.state == Image.STATE_ACTIVE:
                    return image
            except Failure as failure:
                if failure.code not in _PASSING and failure.reason != "UPLOAD_OFFSET":
                    raise
                image = _found_again(client, image.name)
                # All is there, and the server reads it once more: that may take its time.
                reads = image.uploaded_size_bytes == size and failure.code == "DEADLINE_EXCEEDED"
                if image.uploaded_size_bytes > offset or reads:
                    patience.renew()
                else:
                    patience.spend(failure)
            else:
                patience.renew()
            offset = image.uploaded_size_bytes


def download(client: Client, out: Output, image: Image, write: Callable[[bytes], object]) -> None:
    """Give an image's bytes to ``write``, in order, and check them.

    Raises:
        Failure: They are not the image's; or the server refuses, or nothing went on for
            ``PATIENCE_SECONDS``.
    """
    digest = hashlib.sha256()
    offset = 0
    patience = _Patience()
    with bar(out, f"Downloading {image.display_name}", image.size_bytes) as show:
        while offset < image.size_bytes:
            try:
                for part in client.download_image(image.name, offset):
                    write(part)
                    digest.update(part)
                    offset += len(part)
                    show(offset)
                    patience.renew()
                if offset < image.size_bytes:
                    break
            except Failure as failure:
                if failure.code not in _PASSING:
                    raise
                patience.spend(failure)
    if digest.hexdigest() != image.sha256:
        raise Failure(
            f"What came is not image {image.display_name}: its checksum is another.",
            "IMAGE_CHECKSUM_MISMATCH",
            hint="Download it again.",
        )


class _Patience:
    """How long to try again while nothing goes on."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def renew(self) -> None:
        """Something went on."""
        self._since = time.monotonic()

    def spend(self, failure: Failure) -> None:
        """Wait a little before the next try, or give up."""
        if time.monotonic() - self._since > PATIENCE_SECONDS:
            raise failure
        threading.Event().wait(_PAUSE_SECONDS)


def _found_again(client: Client, name: str) -> Image:
    patience = _Patience()
    while True:
        try:
            return client.get_image(name)
        except Failure as failure:
            if failure.code not in _PASSING:
                raise
            patience.spend(failure)


def _parts(file: BinaryIO, offset: int, show: Show) -> Iterator[bytes]:
    file.seek(offset)
    end = offset + STREAM
    while offset < end and (part := file.read(PART)):
        yield part
        offset += len(part)
        show(offset)


@contextmanager
def bar(out: Output, what: str, total: int) -> Iterator[Show]:
    """A bar where a person looks; nothing elsewhere."""
    if not out.animated:
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
