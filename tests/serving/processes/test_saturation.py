"""When an event loop counts as full, in numbers."""

from pathlib import Path

import pytest

from unroll.serving.processes import saturation
from unroll.serving.processes.saturation import Saturation, Thresholds, Usage, has_memory, idle_cores, idle_seconds

STAT = """\
cpu  100 0 100 9000 1000 0 0 0 0 0
cpu0 50 0 50 1000 500 0 0 0 0 0
cpu1 50 0 50 2000 0 0 0 0 0 0
cpu10 0 0 0 6000 500 0 0 0 0 0
intr 12 0 0
"""


def looked(busy: list[float], idle: float, thresholds: Thresholds = Thresholds()) -> list[float | None]:  # noqa: B008
    """What looks say, one a second, while so many cores are idle."""
    now = -1.0

    def usage() -> Usage:
        return Usage(now, now * idle)

    full = Saturation(thresholds, usage, available=8)
    said = []
    for share in busy:
        now += 1
        said.append(full.look(share))
    return said


def test_a_loop_is_full_after_half_a_minute_beside_an_idle_core() -> None:
    assert Thresholds().looks * Thresholds().look_seconds == 30
    assert looked([0.95] * 7, idle=1.5) == [None] * 5 + [1.5, None]


def test_one_look_that_is_not_busy_has_the_looks_counted_anew() -> None:
    assert looked([0.95, 0.99, 0.91, 1.0, 0.9, 0.89, 0.95, 0.95, 0.95, 0.95, 0.95], idle=3) == [None] * 11


def test_a_loop_is_not_full_where_tensorflow_takes_the_other_cores() -> None:
    assert looked([1.0] * 20, idle=0.5) == [None] * 20


def test_the_machine_is_not_read_while_the_loop_is_not_busy() -> None:
    def never() -> Usage:
        raise AssertionError

    full = Saturation(Thresholds(), never, available=2)
    assert [full.look(0.5) for _ in range(10)] == [None] * 10


def test_a_container_has_no_more_idle_cores_than_its_share_leaves() -> None:
    before, after = Usage(10.0, 100.0, 50.0), Usage(14.0, 212.0, 56.0)
    assert idle_cores(before, after, available=4) == 2.5  # of the machine's 28
    assert idle_cores(Usage(10.0, 100.0), Usage(14.0, 106.0), available=4) == 1.5


def test_only_cores_that_the_process_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saturation, "_TICKS", 100)
    assert idle_seconds(STAT, {0, 1}) == 35.0
    assert idle_seconds(STAT, {10}) == 65.0


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """This process has 1 GiB, of 10 GiB that the machine has left."""
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    pages = (1 << 30) // saturation._PAGE
    (proc / "self" / "statm").write_text(f"{9 * pages} {pages} 100 1 0 1000 0\n")
    (proc / "meminfo").write_text(f"MemTotal: {16 << 20} kB\nMemFree: 1000 kB\nMemAvailable: {10 << 20} kB\n")
    return proc


def test_memory_must_be_there_in_the_machine(machine: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "none"
    assert has_memory(10, machine, nothing)
    assert not has_memory(11, machine, nothing)


@pytest.mark.parametrize("version", [1, 2])
def test_memory_must_be_there_in_the_container(machine: Path, tmp_path: Path, version: int) -> None:
    limit, use, stat, inactive = (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    )[version == 1]
    cgroup = tmp_path / "cgroup"
    for name, text in ((limit, 4 << 30), (use, 3 << 30), (stat, f"anon 5\n{inactive} {1 << 30}\n")):
        (cgroup / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroup / name).write_text(f"{text}\n")
    assert has_memory(2, machine, cgroup)  # 1 GiB, and 1 GiB of files that can be dropped
    assert not has_memory(2.1, machine, cgroup)
    if version == 2:
        (cgroup / limit).write_text("max\n")
        assert has_memory(10, machine, cgroup)


def test_this_machine_can_be_read() -> None:
    before = saturation.usage()
    assert before.idle >= 0
    assert saturation.usage().at >= before.at
    assert has_memory(0)
    assert not has_memory(1e9)
