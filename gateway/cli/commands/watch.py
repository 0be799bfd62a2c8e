"""watch."""

import threading
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.failures import Failure
from gateway.cli.options import HISTORY, FormatOption, command
from gateway.cli.session import Session, open_session

if TYPE_CHECKING:
    from protos.novaray.v1.instances_pb2 import WatchInstancesResponse

app = typer.Typer()

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0


@command(
    app,
    "watch",
    HISTORY,
    "nova watch",
    "nova watch --format json | jq -r '.instance.status // empty'",
)
def watch(
    ctx: typer.Context,
    all_projects: Annotated[
        bool, typer.Option("--all-projects", help="Of all projects. For admins.")
    ] = False,
    resume_token: Annotated[
        str,
        typer.Option(
            "--resume-token",
            metavar="TOKEN",
            help="Go on behind the change that carried it, instead of from now.",
            show_default=False,
        ),
    ] = "",
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, help="End after so many changes.", show_default=False),
    ] = None,
    form: FormatOption = None,
) -> None:
    """Show changes as they happen. Goes on by itself after a lost connection; Ctrl-C ends it."""
    _Watcher(open_session(ctx, form), resume_token, all_projects=all_projects).run(count)


class _Watcher:
    """Keeps a watch going, over as many streams as it takes, without a gap or a repetition."""

    def __init__(self, session: Session, token: str, *, all_projects: bool) -> None:
        self._session = session
        self._token = token
        self._all_projects = all_projects
        self._lost = False

    def run(self, count: int | None) -> None:
        """Write so many changes, or until the end of days."""
        pause, seconds = threading.Event(), _FIRST_PAUSE
        written = 0
        while True:
            before = self._token
            try:
                for message in self._session.client.watch(
                    self._token, all_projects=self._all_projects
                ):
                    self._token = message.resume_token or self._token
                    self._found()
                    written += self._write(message)
                    if written == count:
                        return
            except Failure as failure:
                # Without a token nobody knows where "now" was: going on could leave a gap.
                resumable = failure.passing or failure.reason == "WATCHER_TOO_SLOW"
                if not resumable or not self._token:
                    raise
                self._missed(failure)
                seconds = _FIRST_PAUSE if self._token != before else seconds
                pause.wait(seconds)
                seconds = min(seconds * 2, _LONGEST_PAUSE)

    def _write(self, message: "WatchInstancesResponse") -> bool:
        from gateway.cli.views import changes

        if message.WhichOneof("change") is None:
            return False
        self._session.out.record(lambda: changes.line(message), lambda: changes.as_json(message))
        return True

    def _missed(self, failure: Failure) -> None:
        if not self._lost:
            self._session.out.notice(f"{failure.message} Trying again.")
        self._lost = True

    def _found(self) -> None:
        if self._lost:
            self._session.out.notice("Connected again; nothing was missed.")
        self._lost = False
