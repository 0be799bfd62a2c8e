"""What the bench makes of its samples; nothing here measures anything."""

import json
import os
import time
from pathlib import Path

import pytest

from cluster.processes import Process
from tools.bench import machine, profile, report, stage, table, usage
from tools.bench.__main__ import parser
from tools.bench.client import in_flight
from tools.bench.figures import BY_NAME, FIGURES, PHASES, phases_of
from tools.bench.notes import Notes, Part
from tools.bench.samples import Measured, from_json, percentile, rounded, summary, to_json
from tools.bench.usage import Moment, Processes, name_of, spent

#: What the issue asks for.
ASKED = {
    "boot_alone",
    "burst_200",
    "get_alone",
    "get_concurrent",
    "list_1000",
    "op_stop",
    "op_start",
    "op_delete",
    "op_pause",
    "op_unpause",
    "op_suspend",
    "op_resume",
    "op_reboot",
    "op_rebuild",
    "op_resize_confirm",
    "memory_idle",
    "memory_1000",
    "processes",
}
BOOT = BY_NAME["boot_alone"]
BURST = BY_NAME["burst_200"]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.99, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([4.0, 1.0, 2.0, 3.0], 0.5, 2.5),
        ([float(n) for n in range(101)], 0.99, 99.0),
        ([0.0, 10.0], 0.99, 9.9),
        ([1.0, 2.0, 3.0], 0.0, 1.0),
        ([1.0, 2.0, 3.0], 1.0, 3.0),
    ],
)
def test_percentile(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == pytest.approx(expected)


def test_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="no share"):
        percentile([1.0], 99)


def test_the_bad_end_of_a_time_is_long_and_of_a_rate_is_low() -> None:
    values = [float(n) for n in range(101)]
    assert summary(BOOT, values) == Measured(50.0, 99.0, 101)
    assert summary(BURST, values) == Measured(50.0, 1.0, 101)


def test_one_sample_is_a_value() -> None:
    assert summary(BOOT, [7.0]) == Measured(7.0)


def test_targets_bind_from_their_side() -> None:
    assert BOOT.is_met(40)
    assert not BOOT.is_met(40.1)
    assert BURST.is_met(80)
    assert not BURST.is_met(79.9)
    assert BY_NAME["op_stop"].is_met(1) is None


def test_ratios_say_how_many_times_better() -> None:
    assert BOOT.times_better(10, 40) == 4
    assert BURST.times_better(80, 20) == 4


def test_every_figure_that_is_asked_for_is_there_once() -> None:
    assert len(BY_NAME) == len(FIGURES)
    assert set(BY_NAME) >= ASKED
    assert {figure.phase for figure in FIGURES} == set(PHASES)


def test_phases_are_those_of_the_figures_in_their_order() -> None:
    assert phases_of(frozenset()) == PHASES
    assert phases_of(frozenset({"list_1000", "op_stop"})) == ("life", "many")


def test_json_is_as_the_issue_says() -> None:
    told = to_json(
        {"boot_alone": Measured(31.23456, 40.0, 200), "processes": Measured(17)}, {"a": 1}
    )
    assert told["boot_alone"] == {
        "p50": 31.23,
        "p99": 40.0,
        "samples": 200,
        "unit": "ms",
        "nova34": 751,
        "target": 40,
    }
    assert told["processes"] == {"value": 17, "unit": "", "nova34": 32, "target": None}
    assert told["_machine"] == {"a": 1}


def test_json_is_read_back(tmp_path: Path) -> None:
    measured = {"boot_alone": Measured(31.0, 40.0, 200), "processes": Measured(17.0)}
    path = tmp_path / "build" / "bench.json"
    report.write(path, measured, {"processors": 2})
    assert report.read(path) == measured
    assert from_json({**json.loads(path.read_text()), "gone_since": {"value": 1}}) == measured


def test_rounded_keeps_four_digits() -> None:
    assert [rounded(value) for value in (0, 0.0123456, 1234567, 12.34567)] == [
        0,
        0.01235,
        1235000,
        12.35,
    ]


def test_table_of_results() -> None:
    text = table.results(
        {"boot_alone": Measured(31.0, 60.04, 9), "burst_200": Measured(40.0, 39.0)}
    )
    head, _, boot, burst = text.splitlines()
    assert head.split() == ["figure", "p50", "p99", "unit", "Nova", "34", "ratio", "target", "met"]
    assert boot.split()[-8:] == ["31", "60.0", "ms", "751", "24.2x", "≤", "40", "yes"]
    assert burst.endswith("≥ 80  NO (0.50x)")
    assert table.results({}) == "(nothing)"


def test_table_of_a_comparison_marks_what_is_more_than_noise() -> None:
    before = {name: Measured(100.0) for name in ("boot_alone", "burst_200", "op_stop", "op_start")}
    now = {
        "boot_alone": Measured(50.0),
        "burst_200": Measured(50.0),
        "op_stop": Measured(95.0),
        "get_alone": Measured(1.0),
    }
    marks = {line.split()[0]: line for line in table.comparison(before, now).splitlines()[2:]}
    assert set(marks) == {"boot_alone", "burst_200", "op_stop"}
    assert marks["boot_alone"].endswith("2.00x better")
    assert marks["burst_200"].endswith("0.50x WORSE")
    assert marks["op_stop"].endswith("1.05x")


def test_processor_time_between_two_moments() -> None:
    actor, ended = Process(1, "ray::HostActor.run  "), Process(2, "/x/raylet/raylet --y")
    before = Moment(10.0, {actor: 1.0, ended: 5.0}, own=2.0, machine=100.0)
    after = Moment(20.0, {actor: 3.5}, own=3.0, machine=110.0)
    taken = spent(before, after)
    assert taken.named == {"HostActor": 2.5}
    assert taken.cluster == 2.5
    assert taken.others == pytest.approx(6.5)
    assert taken.others_share == pytest.approx(6.5 / 10 / (os.cpu_count() or 1))


def test_names_of_processes() -> None:
    assert name_of(Process(1, "ray::InstanceActor.get_many          ")) == "InstanceActor"
    assert name_of(Process(1, "/a/b/gcs/gcs_server --log_dir=/x")) == "gcs_server"


def test_processor_time_of_a_process_is_read_by_its_number() -> None:
    before = time.process_time()
    found = usage.cpu_seconds(os.getpid())
    assert before <= found <= time.process_time()


def test_processor_time_of_the_machine() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    text = f"cpu  {ticks} 0 {ticks} 900 900 0 0 {ticks} 0 0\ncpu0 1 2 3\n"
    assert usage.machine_seconds(text) == 3


class Staged(Processes):
    """Moments that were made up: in each part strangers have another share."""

    def __init__(self, shares: list[float]) -> None:
        self.moments = iter(
            moment
            for share in shares
            for moment in (Moment(0.0, {ACTOR: 0.0}, 0.0, 0.0), moment_after(share))
        )

    def look(self) -> tuple[Process, ...]:
        return (ACTOR,)

    def moment(self) -> Moment:
        return next(self.moments)


ACTOR = Process(1, "ray::HostActor.run  ")


def moment_after(share: float) -> Moment:
    """A second later: the actor had a tenth of one, strangers their share of the machine."""
    return Moment(1.0, {ACTOR: 0.1}, 0.0, 0.1 + share * (os.cpu_count() or 1))


async def test_notes_take_idling_off() -> None:
    notes = Notes(Staged([0.0]), idle={"HostActor": 0.02})

    async def boots(part: Part) -> None:
        part.operations = 2
        notes.add("boot_alone", 1.0)

    await notes.part("boots", boots, "cpu_per_boot")
    assert notes.samples["cpu_per_boot"] == [pytest.approx(40.0)]
    assert notes.cpu["boots"] == {"HostActor": pytest.approx(40.0)}
    assert notes.measured(frozenset({"boot_alone"})) == {"boot_alone": Measured(1.0)}
    with pytest.raises(AssertionError):
        notes.add("no_such_figure", 1.0)


async def test_a_disturbed_part_is_done_again_while_patience_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tools.bench.notes._PAUSE_SECONDS", 0.0)
    notes = Notes(Staged([0.5, 0.3, 0.05, 0.4]), patience=10.0)
    runs = 0

    async def boots(part: Part) -> None:
        nonlocal runs
        runs += 1
        notes.add("boot_alone", float(runs))

    await notes.part("boots", boots)
    assert notes.samples["boot_alone"] == [3.0]
    assert notes.strangers["boots"] == pytest.approx(0.05)
    notes.patience = 0.0
    await notes.part("boots", boots)
    assert notes.samples["boot_alone"] == [3.0, 4.0]
    assert notes.strangers["boots"] == pytest.approx(0.4)


def test_noise_is_told_where_it_matters() -> None:
    assert report.noise({"life": 0.05}).startswith("No other")
    assert "get 46%" in report.noise({"life": 0.05, "get": 0.46})


def test_costs_of_folded_stacks() -> None:
    folded = (
        "run (a.py:1);step (actors/x.py:2);run (a.py:1) 3\n"
        "run (a.py:1) 1\n"
        "Worker.main_loop (ray/_private/worker.py:1) 900\n"
    )
    costs = {cost.function: cost for cost in profile.costs_of("p", folded, 400.0)}
    assert costs["run (a.py:1)"].own == 400.0
    assert costs["run (a.py:1)"].below == 400.0
    assert costs["step (actors/x.py:2)"].own == 0.0
    assert costs["step (actors/x.py:2)"].below == 300.0
    assert profile.costs_of("p", "", 400.0) == []


def test_filesystem_is_that_of_the_innermost_mount() -> None:
    mounts = "d / ext4 rw 0 0\nt /tmp tmpfs rw 0 0\nx /tmp/a xfs rw 0 0\ny /tmp/a zfs rw 0 0\n"
    assert machine.filesystem(Path("/tmp/a/b"), mounts) == "zfs"
    assert machine.filesystem(Path("/tmp/ab"), mounts) == "tmpfs"
    assert machine.filesystem(Path("/var"), mounts) == "ext4"


def test_free_ports_differ() -> None:
    ports = stage.free_ports(3)
    assert len(set(ports)) == 3


def test_a_stage_lies_below_folders_of_its_own() -> None:
    place = stage.Stage(Path("/tmp/novaray-bench-x"), Path("/var/tmp/novaray-bench-x"))
    assert place.ray_dir == Path("/tmp/novaray-bench-x/run/ray")
    environment = stage.environment_of(place, dashboard=False, partitions=2)
    assert environment["NOVARAY_LIBVIRT_URI"] == "test://"
    assert environment["NOVARAY_DASHBOARD"] == "false"
    given = {name: value for name, value in environment.items() if name.startswith("NOVARAY_")}
    assert all("/var/lib" not in value and "/run/novaray" not in value for value in given.values())


def test_a_setting_of_the_caller_never_reaches_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOVARAY_CREDENTIALS", "/home/someone/credentials.toml")
    environment = stage.environment_of(
        stage.Stage(Path("/tmp/a"), Path("/var/tmp/a")), dashboard=True, partitions=1
    )
    assert "NOVARAY_CREDENTIALS" not in environment


async def test_in_flight_keeps_to_its_number() -> None:
    now, most, done = 0, 0, []

    async def call(item: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        done.append(item)
        now -= 1

    await in_flight(call, range(10), 3)
    assert sorted(done) == list(range(10))
    assert most <= 3


def test_command_line() -> None:
    chosen = parser().parse_args(["--only", "boot_alone", "--only", "op_stop", "--quick"])
    assert chosen.only == ["boot_alone", "op_stop"]
    assert chosen.dashboard
    assert chosen.profile is None
    with pytest.raises(SystemExit):
        parser().parse_args(["--only", "no_such_figure"])
