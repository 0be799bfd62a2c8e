"""Watching: without a gap and without a repetition, over connections that come and go."""

import json
from typing import Any

import grpc

from protos.novaray.v1.instances_pb2 import WatchInstancesResponse
from tests.gateway.cli import golden
from tests.gateway.cli.cloud import Cloud, Lost, refusal
from tests.gateway.cli.conftest import Nova


def change(cloud: Cloud, token: str) -> WatchInstancesResponse:
    return WatchInstancesResponse(instance=cloud.first, resume_token=token)


def alive(token: str) -> WatchInstancesResponse:
    return WatchInstancesResponse(resume_token=token)


def tokens_asked(cloud: Cloud) -> list[str]:
    return [request.resume_token for request in cloud.requests("WatchInstances")]


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_lines(cloud: Cloud, nova: Nova) -> None:
    operation = cloud.add_operation(cloud.first, "STOP", 2)
    cloud.streams = [
        [
            alive("1"),
            change(cloud, "2"),
            WatchInstancesResponse(operation=operation, resume_token="3"),
        ]
    ]
    golden.check("watch", nova("watch", "--count", "2").ok)


def test_json_lines(cloud: Cloud, nova: Nova) -> None:
    operation = cloud.add_operation(cloud.first, "STOP", 2)
    cloud.streams = [
        [change(cloud, "2"), WatchInstancesResponse(operation=operation, resume_token="3")]
    ]
    first, second = records(nova("watch", "--count", "2", "--format", "json").ok)
    assert set(first) == {"instance", "operation", "resume_token"}
    assert first["instance"]["name"] == "MyFirstInstance"
    assert first["operation"] is None
    assert second["operation"]["action"] == "stop"
    assert second["resume_token"] == "3"


def test_goes_on_with_the_token_after_a_lost_connection(cloud: Cloud, nova: Nova) -> None:
    cloud.streams = [
        [alive("1"), change(cloud, "2"), Lost],
        # Only a sign of life moved the place here.
        [alive("5"), Lost],
        # The server may also simply end a stream.
        [],
        [change(cloud, "6")],
    ]
    ran = nova("watch", "--count", "2", "--format", "json")
    assert ran.code == 0
    assert [record["resume_token"] for record in records(ran.out)] == ["2", "6"]
    assert tokens_asked(cloud) == ["", "2", "5", "5"]


def test_a_person_hears_of_a_lost_connection(cloud: Cloud, nova: Nova) -> None:
    cloud.streams = [[alive("1"), Lost], [change(cloud, "2")]]
    ran = nova("watch", "--count", "1")
    assert ran.code == 0
    assert "Trying again." in ran.err
    assert "nothing was missed" in ran.err


def test_a_watcher_that_was_let_go_begins_where_it_was(cloud: Cloud, nova: Nova) -> None:
    slow = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCHER_TOO_SLOW", "Too slow.")
    cloud.refuse["WatchInstances"] = [None, slow]
    cloud.streams = [[alive("1"), Lost], [change(cloud, "2")]]
    assert nova("watch", "--count", "1").code == 0
    assert tokens_asked(cloud) == ["", "1", "1"]


def test_a_token_that_is_too_old_ends_it(cloud: Cloud, nova: Nova) -> None:
    cloud.refuse["WatchInstances"] = [
        refusal(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED", "It is too old.")
    ]
    ran = nova("watch", "--resume-token", "old")
    assert (ran.code, ran.err) == (1, "ERROR (RESUME_TOKEN_EXPIRED): It is too old.\n")
    assert tokens_asked(cloud) == ["old"]


def test_no_server_to_begin_with(cloud: Cloud, nova: Nova) -> None:
    # Nobody can say from where on to watch: better none than one with a gap.
    cloud.refuse["WatchInstances"] = [grpc.StatusCode.UNAVAILABLE] * 4
    assert nova("watch").code == 3


def test_all_projects(cloud: Cloud, nova: Nova) -> None:
    cloud.streams = [[change(cloud, "1")]]
    assert nova("watch", "--all-projects", "--count", "1").code == 0
    assert cloud.requests("WatchInstances")[0].parent == "projects/-"
