"""What commands ask of the server, and what they make of its answers."""

import json
import uuid

import grpc
import pytest

from gateway.cli import progress
from protos.novaray.v1.instances_pb2 import InstanceOperationMetadata
from tests.gateway.cli.cloud import (
    FIRST_ID,
    IMAGES,
    MADE_ID,
    PROJECT,
    TEST_IDS,
    UEC,
    Cloud,
    bad_field,
    refusal,
)
from tests.gateway.cli.conftest import Nova, Ran

BOOT = ("boot", "--image", UEC, "--flavor", "m1.tiny", "web")
NO_HOST = refusal(
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "NO_VALID_HOST",
    "No host can take 512 MiB.",
    node1="RamFilter: has 100 MiB left",
    node2="is down",
    more_hosts="3",
    instance=MADE_ID,
    operation=f"{MADE_ID}.1",
)


def error_of(ran: Ran) -> dict[str, object]:
    """The one error that a command in JSON mode told."""
    assert ran.code
    error = json.loads(ran.err)["error"]
    assert set(error) == {"message", "reason", "code", "hint", "exit_code", "data"}
    assert error["exit_code"] == ran.code
    assert isinstance(error, dict)
    return error


# --- boot --------------------------------------------------------------------------------------


def test_boot_asks_for_what_was_said(cloud: Cloud, nova: Nova) -> None:
    request_id = str(uuid.uuid4())
    options = (
        "--key-name", "mine", "--meta", "role=web", "--meta", "url=http://x/?a=b",
        "--availability-zone", "nova", "--host", "node1", "--request-id", request_id,
    )  # fmt: skip
    assert nova(*BOOT, *options).code == 0
    (request,) = cloud.requests("CreateInstance")
    assert request.parent == f"projects/{PROJECT}"
    assert request.instance.display_name == "web"
    assert request.instance.key_name == "mine"
    assert dict(request.instance.metadata) == {"role": "web", "url": "http://x/?a=b"}
    assert (request.flavor, request.image) == ("flavors/1", f"images/{IMAGES[0][0]}")
    assert (request.availability_zone, request.host) == ("nova", "node1")
    assert request.request_id == request_id


@pytest.mark.parametrize("flavor", ["m1.tiny", "1"])
@pytest.mark.parametrize("image", [UEC, IMAGES[0][0]])
def test_boot_takes_names_and_ids(cloud: Cloud, nova: Nova, image: str, flavor: str) -> None:
    assert nova("boot", "--image", image, "--flavor", flavor, "web").code == 0
    (request,) = cloud.requests("CreateInstance")
    assert (request.flavor, request.image) == ("flavors/1", f"images/{IMAGES[0][0]}")


def test_boot_twice_with_one_request_id_makes_one(cloud: Cloud, nova: Nova) -> None:
    options = ("--request-id", str(uuid.uuid4()), "--format", "json")
    first, second = (json.loads(nova(*BOOT, *options).ok) for _ in range(2))
    assert first["instance"]["id"] == second["instance"]["id"]
    assert len(cloud.instances) == 2


def test_boot_sends_again_what_may_not_have_arrived(cloud: Cloud, nova: Nova) -> None:
    cloud.refuse["CreateInstance"] = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE]
    assert nova(*BOOT).code == 0
    sent = cloud.requests("CreateInstance")
    assert len(sent) == 3
    # So the server can tell that it is the same.
    assert len({request.request_id for request in sent}) == 1


def test_a_boot_without_an_answer_says_how_to_repeat_it(cloud: Cloud, nova: Nova) -> None:
    cloud.refuse["CreateInstance"] = [grpc.StatusCode.UNAVAILABLE] * 4
    ran = nova(*BOOT)
    assert ran.code == 3
    request_id = cloud.requests("CreateInstance")[0].request_id
    assert f"Repeat it with --request-id {request_id}" in ran.err


def test_boot_with_poll_shows_steps_and_says_how_it_ended(nova: Nova) -> None:
    ran = nova(*BOOT, "--poll")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "Server web is ACTIVE (private=10.0.0.9)."
    # No terminal, so lines instead of a bar.
    assert ran.err.splitlines() == [
        "Building web (0%)",
        "Building web: claim (25%)",
        "Building web: ports (50%)",
        "Building web: disk (75%)",
    ]


def test_boot_with_poll_in_json_is_one_document(nova: Nova) -> None:
    made = json.loads(nova(*BOOT, "--poll", "--format", "json").ok)
    assert made["instance"]["status"] == "ACTIVE"
    assert made["operation"]["state"] == "succeeded"


def test_boot_with_poll_fails_as_the_operation_does(cloud: Cloud, nova: Nova) -> None:
    cloud.outcome = NO_HOST
    ran = nova(*BOOT, "--poll")
    assert ran.code == 1
    assert ran.err.split("disk (75%)\n")[1].splitlines() == [
        "ERROR (NO_VALID_HOST): No host can take 512 MiB.",
        "  node1: RamFilter: has 100 MiB left",
        "  node2: is down",
        "  and 3 more hosts",
        # What came of the host that was tried, from the server's fault.
        "  node1: disk: No space left on device",
        'Hint: See "nova host-list" for what is free, or take a smaller flavor.',
    ]


def test_a_failed_operation_in_json(cloud: Cloud, nova: Nova) -> None:
    cloud.outcome = NO_HOST
    data = error_of(nova(*BOOT, "--poll", "--format", "json"))["data"]
    assert isinstance(data, dict)
    assert data["hosts"] == {"node1": "disk: No space left on device"}
    assert data["metadata"]["node2"] == "is down"
    assert data["operation"]["id"] == f"{MADE_ID}.1"
    assert data["operation"]["error"]["reason"] == "NO_VALID_HOST"


def test_each_action_has_a_word_of_its_own_while_it_is_polled() -> None:
    actions = InstanceOperationMetadata.Action.keys()
    words = {name.removeprefix("ACTION_").lower() for name in actions} - {"unspecified"}
    assert words == set(progress.VERBS)


@pytest.mark.slow
def test_polling_outlives_a_gateway_that_restarts(cloud: Cloud, nova: Nova) -> None:
    # Four tries are one call to the command.
    cloud.refuse["WaitOperation"] = [grpc.StatusCode.UNAVAILABLE] * 6
    ran = nova(*BOOT, "--poll")
    assert ran.code == 0
    assert "is ACTIVE" in ran.out


def test_polling_a_lost_gateway_says_how_to_go_on(
    cloud: Cloud, nova: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 0.0)
    cloud.refuse["WaitOperation"] = [grpc.StatusCode.UNAVAILABLE] * 4
    ran = nova(*BOOT, "--poll")
    assert ran.code == 3
    assert f'Follow it with "nova operation wait {MADE_ID}.1"' in ran.err


def test_the_bar_tells_what_is_going_on() -> None:
    meta = InstanceOperationMetadata(
        action=InstanceOperationMetadata.ACTION_CREATE,
        state=InstanceOperationMetadata.STATE_UNDOING,
        step="disk",
        attempt=2,
        waiting_for="libvirt on node1",
    )
    said = "Building web: disk (undoing) (attempt 2), waiting for libvirt on node1"
    assert progress.description(meta, "web") == said


# --- list --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "filter_text"),
    [
        ((), ""),
        (("--name", 'a "b"\\'), 'display_name = "a \\"b\\"\\\\"'),
        (("--status", "active"), 'state = "ACTIVE"'),
        (("--name", "w", "--host", "h"), 'display_name = "w" AND host = "h"'),
    ],
)
def test_list_has_the_server_filter(
    cloud: Cloud, nova: Nova, options: tuple[str, ...], filter_text: str
) -> None:
    assert nova("list", *options).code == 0
    assert cloud.requests("ListInstances")[0].filter == filter_text


def test_list_reads_all_pages(cloud: Cloud, nova: Nova) -> None:
    cloud.page_size = 2
    for index in range(5):
        cloud.add_instance(str(uuid.UUID(int=index)), f"web{index}")
    assert len(json.loads(nova("list", "--format", "json").ok)) == 6
    assert len(cloud.requests("ListInstances")) == 3


def test_list_with_a_limit_reads_no_more(cloud: Cloud, nova: Nova) -> None:
    for index in range(5):
        cloud.add_instance(str(uuid.UUID(int=index)), f"web{index}")
    assert len(json.loads(nova("list", "--limit", "2", "--format", "json").ok)) == 2
    (request,) = cloud.requests("ListInstances")
    assert request.page_size == 2


def test_list_of_all_projects(cloud: Cloud, nova: Nova) -> None:
    assert nova("list", "--all-tenants").code == 0
    assert cloud.requests("ListInstances")[0].parent == "projects/-"


# --- names -------------------------------------------------------------------------------------


def test_an_id_takes_one_call(cloud: Cloud, nova: Nova) -> None:
    assert nova("show", FIRST_ID).code == 0
    assert [name for name, _ in cloud.asked] == ["GetInstance"]


def test_a_name_that_looks_like_an_id(cloud: Cloud, nova: Nova) -> None:
    cloud.first.display_name = TEST_IDS[0]
    assert json.loads(nova("show", TEST_IDS[0], "--format", "json").ok)["id"] == FIRST_ID


def test_an_unknown_server(nova: Nova) -> None:
    ran = nova("show", "myfirstinstence")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "ERROR (SERVER_NOT_FOUND): No server with a name or ID of 'myfirstinstence' exists.\n"
        'Hint: Did you mean MyFirstInstance? See "nova list".\n'
    )


def test_an_ambiguous_name_in_json(cloud: Cloud, nova: Nova) -> None:
    for uid in TEST_IDS:
        cloud.add_instance(uid, "Test")
    error = error_of(nova("--format", "json", "stop", "Test"))
    assert error["reason"] == "AMBIGUOUS_NAME"
    assert isinstance(error["data"], dict)
    assert {c["id"] for c in error["data"]["candidates"]} == set(TEST_IDS)
    assert not cloud.requests("StopInstance")


def test_an_ambiguous_image(cloud: Cloud, nova: Nova) -> None:
    cloud.images[0].display_name = UEC
    ran = nova(*BOOT)
    assert ran.code == 1
    assert f"2 images are called '{UEC}'" in ran.err
    assert IMAGES[0][0] in ran.err
    assert not cloud.requests("CreateInstance")


# --- delete, start, stop -----------------------------------------------------------------------


def test_delete_of_several_goes_on_after_one_that_fails(cloud: Cloud, nova: Nova) -> None:
    cloud.add_instance(TEST_IDS[0], "a")
    cloud.add_instance(TEST_IDS[1], "b")
    ran = nova("delete", "a", "none", "b", "a")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "Request to delete server a has been accepted.",
        "Request to delete server b has been accepted.",
    ]
    assert "No server with a name or ID of 'none' exists." in ran.err
    ids = [request.request_id for request in cloud.requests("DeleteInstance")]
    assert len(set(ids)) == 2


def test_delete_of_several_in_json(cloud: Cloud, nova: Nova) -> None:
    ran = nova("delete", "MyFirstInstance", "none", "--format", "json")
    assert [item["instance"]["id"] for item in json.loads(ran.out)] == [FIRST_ID]
    assert error_of(ran)["reason"] == "SERVER_NOT_FOUND"


def test_delete_with_poll(cloud: Cloud, nova: Nova) -> None:
    ran = nova("delete", "--poll", "MyFirstInstance")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "Server MyFirstInstance has been deleted."
    assert not cloud.instances


@pytest.mark.parametrize(("options", "grace"), [((), None), (("--grace", "0"), 0.0)])
def test_stop_passes_the_grace_time(
    cloud: Cloud, nova: Nova, options: tuple[str, ...], grace: float | None
) -> None:
    assert nova("stop", *options, "MyFirstInstance").code == 0
    (request,) = cloud.requests("StopInstance")
    assert (request.grace_seconds if request.HasField("grace_seconds") else None) == grace


def test_stop_with_poll(nova: Nova) -> None:
    ran = nova("stop", "--poll", "MyFirstInstance")
    last = ran.out.splitlines()[-1]
    assert (ran.code, last) == (0, "Server MyFirstInstance is SHUTOFF (private=10.0.0.18).")


@pytest.mark.parametrize(
    ("options", "hard", "grace"),
    [((), False, None), (("--hard",), True, None), (("--grace", "5"), False, 5.0)],
)
def test_a_reboot_is_soft_unless_told_otherwise(
    cloud: Cloud, nova: Nova, options: tuple[str, ...], hard: bool, grace: float | None
) -> None:
    assert nova("reboot", *options, "MyFirstInstance").code == 0
    (request,) = cloud.requests("RebootInstance")
    assert request.hard is hard
    assert (request.grace_seconds if request.HasField("grace_seconds") else None) == grace


@pytest.mark.parametrize(
    ("word", "state"),
    [("pause", "PAUSED"), ("unpause", "ACTIVE"), ("suspend", "SUSPENDED"), ("resume", "ACTIVE")],
)
def test_standing_still_and_going_on(cloud: Cloud, nova: Nova, word: str, state: str) -> None:
    ran = nova(word, "--poll", "MyFirstInstance")
    assert ran.code == 0
    first, *_, last = ran.out.splitlines()
    assert first == f"Request to {word} server MyFirstInstance has been accepted."
    assert last == f"Server MyFirstInstance is {state} (private=10.0.0.18)."
    (request,) = cloud.requests(f"{word.title()}Instance")
    assert request.name == cloud.first.name
    assert request.request_id


def test_a_state_that_forbids_it(cloud: Cloud, nova: Nova) -> None:
    message = "Server MyFirstInstance is ACTIVE; only a SHUTOFF one can be started."
    conflict = grpc.StatusCode.FAILED_PRECONDITION
    cloud.refuse["StartInstance"] = [
        refusal(conflict, "INVALID_STATE", message, vm_state="active"),
        refusal(conflict, "INVALID_STATE", "Cannot start it.", vm_state="suspended"),
    ]
    cloud.refuse["ResumeInstance"] = [
        refusal(conflict, "INVALID_STATE", "No.", vm_state="paused", action="resume")
    ]
    ran = nova("start", "MyFirstInstance")
    assert (ran.code, ran.err) == (1, f"ERROR (INVALID_STATE): {message}\n")
    hint = "Hint: The way out of this state: nova resume SERVER.\n"
    assert nova("start", "MyFirstInstance").err.endswith(hint)
    assert "Hint" not in nova("resume", "MyFirstInstance").err


def test_a_field_is_not_told_twice(cloud: Cloud, nova: Nova) -> None:
    problem = "'a' is not a name of the form b"
    cloud.refuse["GetOperation"] = [
        refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            "RESOURCE_NAME_INVALID",
            f"The field name is wrong: {problem}.",
            bad_field("name", problem),
        )
    ]
    assert nova("operation", "show", "a").err.count(problem) == 1


def test_help_is_also_a_command(nova: Nova) -> None:
    assert nova("help").ok == nova("--help").ok
    assert nova("help", "boot").ok == nova("boot", "--help").ok
    assert nova("help", "operation", "list").ok == nova("operation", "list", "--help").ok
    ran = nova("help", "bot")
    assert ran.code == 2
    assert "Did you mean 'boot'" in ran.err


# --- operations --------------------------------------------------------------------------------


def test_operations_of_one_server(cloud: Cloud, nova: Nova) -> None:
    nova("stop", "MyFirstInstance")
    listed = json.loads(
        nova("operation", "list", "--server", "MyFirstInstance", "--format", "json").ok
    )
    assert [o["action"] for o in listed] == ["stop"]
    assert cloud.requests("ListOperations")[0].name == cloud.first.name


def test_operation_wait(nova: Nova) -> None:
    nova("stop", "MyFirstInstance")
    ran = nova("operation", "wait", f"{FIRST_ID}.2")
    assert (ran.code, ran.out) == (0, f"Operation {FIRST_ID}.2 has succeeded.\n")


def test_operation_wait_for_one_that_fails(cloud: Cloud, nova: Nova) -> None:
    nova("stop", "MyFirstInstance")
    cloud.outcome = refusal(grpc.StatusCode.INTERNAL, "HYPERVISOR_REFUSED", "QEMU refused.")
    ran = nova("operation", "wait", f"{FIRST_ID}.2")
    assert ran.code == 1
    assert "ERROR (HYPERVISOR_REFUSED): QEMU refused." in ran.err


def test_operation_cancel(cloud: Cloud, nova: Nova) -> None:
    nova("stop", "MyFirstInstance")
    assert nova("operation", "cancel", f"{FIRST_ID}.2").code == 0
    assert cloud.requests("CancelOperation")[0].name == f"operations/{FIRST_ID}.2"


def test_an_unknown_operation(nova: Nova) -> None:
    ran = nova("operation", "show", f"{FIRST_ID}.9")
    assert (ran.code, ran.out) == (1, "")
    assert "could not be found" in ran.err


# --- console-log -------------------------------------------------------------------------------


def test_console_log_is_as_the_guest_wrote_it(cloud: Cloud, nova: Nova) -> None:
    cloud.console = b"\x1b[2Jone\r\ntwo\r\nlogin: "
    assert nova("console-log", "MyFirstInstance").ok == "\x1b[2Jone\r\ntwo\r\nlogin: "


def test_a_long_console_log_comes_in_pieces(cloud: Cloud, nova: Nova) -> None:
    cloud.console = b"x" * (3 << 20)
    assert len(nova("console-log", "MyFirstInstance").ok) == 3 << 20


@pytest.mark.parametrize("lines", [0, 1, 3, 2999, 3000, 5000])
def test_the_last_lines_of_a_console_log(cloud: Cloud, nova: Nova, lines: int) -> None:
    log = [f"{index:0100}\n" for index in range(3000)]
    cloud.console = "".join(log).encode()
    expected = "".join(log[-lines:]) if lines else ""
    assert nova("console-log", "--length", str(lines), "MyFirstInstance").ok == expected


def test_console_log_in_json(cloud: Cloud, nova: Nova) -> None:
    cloud.console = b"\x1b[31mred\x1b[0m\r\n\xff"
    shown = json.loads(nova("console-log", "MyFirstInstance", "--format", "json").ok)
    assert shown == {"text": "red\n\ufffd", "next_offset": len(cloud.console)}


@pytest.mark.slow
def test_following_a_console_ends_with_its_server(cloud: Cloud, nova: Nova) -> None:
    cloud.console = b"one\n"
    gone = refusal(grpc.StatusCode.NOT_FOUND, "INSTANCE_NOT_FOUND", "It is gone.")
    # The log so far takes two calls; then the gateway is lost, and then the server is.
    lost = [grpc.StatusCode.UNAVAILABLE] * 5
    cloud.refuse["GetConsoleOutput"] = [None, None, *lost, gone]
    ran = nova("console-log", "--follow", "MyFirstInstance")
    assert (ran.code, ran.out) == (1, "one\n")
    assert "It is gone." in ran.err


# --- errors ------------------------------------------------------------------------------------


def test_wrong_fields_are_named(cloud: Cloud, nova: Nova) -> None:
    cloud.refuse["CreateInstance"] = [
        refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            "FIELD_INVALID",
            "The request is not valid.",
            bad_field("instance.display_name", "must have printable characters only"),
        )
    ]
    ran = nova(*BOOT)
    assert ran.err.splitlines() == [
        "ERROR (FIELD_INVALID): The request is not valid.",
        "  instance.display_name: must have printable characters only",
    ]


def test_an_error_in_json(cloud: Cloud, nova: Nova) -> None:
    cloud.refuse["CreateInstance"] = [NO_HOST]
    error = error_of(nova(*BOOT, "-f", "json"))
    assert error["code"] == "RESOURCE_EXHAUSTED"
    assert error["reason"] == "NO_VALID_HOST"
    assert isinstance(error["data"], dict)
    assert error["data"]["metadata"]["node1"] == "RamFilter: has 100 MiB left"


@pytest.mark.parametrize("code", [c for c in grpc.StatusCode if c is not grpc.StatusCode.OK])
def test_every_status_is_a_sentence(cloud: Cloud, nova: Nova, code: grpc.StatusCode) -> None:
    cloud.refuse["ListInstances"] = [code] * 4
    ran = nova("list")
    assert ran.code == (3 if code.name in ("UNAVAILABLE", "UNAUTHENTICATED") else 1)
    assert ran.err.startswith("ERROR (")
    assert "Traceback" not in ran.err


def test_a_passing_refusal_is_the_servers_own(cloud: Cloud, nova: Nova) -> None:
    away = refusal(grpc.StatusCode.UNAVAILABLE, "HOST_UNAVAILABLE", "Host node1 is away.")
    cloud.refuse["StopInstance"] = [away] * 4
    ran = nova("stop", "MyFirstInstance")
    assert (ran.code, ran.err) == (1, "ERROR (HOST_UNAVAILABLE): Host node1 is away.\n")
