"""Versions that come and go, with real SavedModels in real directories."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.serving.running_versions import ask, eventually, put, running, spec, states
from unroll.serving.protocol.status import StatusError
from unroll.serving.versions.model_config import ListedModels, ModelConfig, store_models
from unroll.serving.versions.store import Store
from unroll.serving.versions.version_policy import All, Latest, Specific, VersionPolicy


async def test_a_new_version_takes_over_and_the_old_one_is_unloaded(light_exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    put(base, 1, light_exports[1])
    (base / "notes").mkdir()
    (base / "7").write_text("no folder")
    told: list[tuple[str, bool]] = []
    async with running(ModelConfig("m", base), told=told) as versions:
        assert await ask(versions, spec("m")) == 1
        put(base, "00002", light_exports[2])
        await eventually(lambda: states(versions, "m") == {1: "END", 2: "AVAILABLE"})
        assert await ask(versions, spec("m")) == await ask(versions, spec("m", 2)) == 2
        with pytest.raises(StatusError) as gone:
            versions.find(spec("m", 1))
        assert gone.value.code is grpc.StatusCode.NOT_FOUND
        assert gone.value.message == "Servable not found for request: Specific(m, 1)"
        assert told == [("m", False), ("m", True)], "there was a version to ask all along"
    assert told[2:] == [("m", False)]
    assert states(versions, "m") == {1: "END", 2: "END"}


async def test_policies_and_their_change_by_reload(light_exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    for version in range(1, 5):
        put(base, version, light_exports[2 - version % 2])
    async with running(ModelConfig("m", base, Latest(2))) as versions:

        def served() -> list[int]:
            return [version for version, state in states(versions, "m").items() if state == "AVAILABLE"]

        assert served() == [3, 4]
        await versions.reload(ListedModels([ModelConfig("m", base, Specific(frozenset({1, 3, 9})))]))
        assert served() == [1, 3]
        assert await ask(versions, spec("m")) == 3
        await versions.reload(ListedModels([ModelConfig("m", base, All())]))
        assert served() == [1, 2, 3, 4]
        assert [await ask(versions, spec("m", version)) for version in served()] == served()
        await versions.reload(ListedModels([ModelConfig("m", base)]))
        assert served() == [4]


async def test_no_request_fails_through_swaps(light_exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    put(base, 1, light_exports[1])
    answered: list[int] = []

    async def ask_on(versions, stop: asyncio.Event) -> None:
        while not stop.is_set():
            answered.append(await ask(versions, spec("m")))

    async with running(ModelConfig("m", base)) as versions:
        stop = asyncio.Event()
        asking = [asyncio.create_task(ask_on(versions, stop)) for _ in range(8)]
        for version in (2, 3, 4):
            put(base, version, light_exports[2 - version % 2])
            await eventually(lambda version=version: version in answered)
        await versions.reload(ListedModels([ModelConfig("m", base, Specific(frozenset({1})))]))
        await eventually(lambda: answered[-1] == 1)
        stop.set()
        await asyncio.gather(*asking)
    assert set(answered) == {1, 2, 3, 4}


async def test_a_half_copied_version_serves_once_it_is_whole(light_exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    put(base, 1, light_exports[1])
    async with running(ModelConfig("m", base)) as versions:
        shutil.copytree(light_exports[2] / "variables", base / "2" / "variables")
        await eventually(lambda: states(versions, "m").get(2) == "END")
        assert str(light_exports[2].parent) not in versions.states("m")[2].error
        assert await ask(versions, spec("m")) == 1
        assert [line for line in versions.failures() if f"{base / '2'}: cannot be loaded (" in line]
        shutil.copytree(light_exports[2], base / "2", dirs_exist_ok=True)
        await eventually(lambda: states(versions, "m") == {1: "END", 2: "AVAILABLE"})
        assert await ask(versions, spec("m")) == 2
        assert versions.failures() == []


async def test_loads_are_retried_so_often_and_then_only_if_the_directory_changes(
    light_exports: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    base, aside = tmp_path / "m", tmp_path / "elsewhere"
    put(base, 1, light_exports[1])
    broken = put(base, 2, light_exports[2])
    # Behind a link, so that it can be repaired without the directory's looking changed.
    shutil.move(broken / "variables", aside)
    data = next(aside.glob("*.data-*"))
    whole = data.read_bytes()
    data.write_bytes(b"cut")
    (broken / "variables").symlink_to(aside)
    async with running(ModelConfig("m", base), load_retry_seconds=0.2, max_num_load_retries=1000) as versions:
        assert states(versions, "m") == {1: "AVAILABLE", 2: "END"}
        data.write_bytes(whole)
        await eventually(lambda: states(versions, "m") == {1: "END", 2: "AVAILABLE"})
    assert caplog.text.count(f"{broken}: cannot be loaded") == 1

    data.write_bytes(b"cut")
    retries: dict[str, Any] = {"load_retry_seconds": 0.0, "max_num_load_retries": 2, "poll_seconds": 3600}
    async with running(ModelConfig("m", base), **retries) as versions:
        for _ in range(2):
            await versions.poll()
        data.write_bytes(whole)
        await versions.poll()
        assert states(versions, "m") == {1: "AVAILABLE", 2: "END"}, "cancelled"
        (broken / "touched").write_text("")
        await versions.poll()
        await eventually(lambda: states(versions, "m") == {1: "END", 2: "AVAILABLE"})


async def test_a_missing_base_path_stalls_no_other_model(light_exports: dict[int, Path], tmp_path: Path):
    put(tmp_path / "m", 1, light_exports[1])
    missing = tmp_path / "missing"
    told: list[tuple[str, bool]] = []
    configs = (ModelConfig("absent", missing), ModelConfig("m", tmp_path / "m"))
    async with running(*configs, told=told) as versions:
        assert await ask(versions, spec("m")) == 1
        assert ("absent", False) in told
        assert versions.failures() == [
            f"Could not find base path {missing} for servable absent: No such file or directory"
        ]
        put(tmp_path / "m", 2, light_exports[2])
        await eventually(lambda: states(versions, "m") == {1: "END", 2: "AVAILABLE"})
        put(missing, 1, light_exports[1])
        await eventually(lambda: ("absent", True) in told)
        assert await ask(versions, spec("absent")) == 1

        missing.rename(tmp_path / "unmounted")  # as a network disk may be for a while
        await eventually(versions.failures)
        assert await ask(versions, spec("absent")) == 1
        assert ("absent", False) not in told[told.index(("absent", True)) :]


async def test_a_base_path_without_versions_withdraws_them(light_exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    put(base, 1, light_exports[1])
    async with running(ModelConfig("m", base)) as versions:
        shutil.rmtree(base / "1")
        await eventually(lambda: states(versions, "m") == {1: "END"})
        with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(m\)"):
            versions.find(spec("m"))
        assert f"No versions of servable m found under base path {base}." in versions.failures()[0]


async def test_a_store_is_followed_as_models_come_and_go(
    light_exports: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    store = Store(tmp_path / "store")
    store.put("one", 1, light_exports[1])
    async with running(configs=store_models(store)) as versions:
        assert list(versions.serving) == ["one"]
        store.put("two", 2, light_exports[2])
        await eventually(lambda: "two" in versions.serving)
        shutil.rmtree(store.root / "one")
        await eventually(lambda: list(versions.serving) == ["two"])
        store.root.rename(tmp_path / "gone")
        await eventually(lambda: "the directory is gone. What is loaded is still served." in caplog.text)
        assert await ask(versions, spec("two")) == 2
        (tmp_path / "gone").rename(store.root)
        store.put("two", 3, light_exports[1])
        await eventually(lambda: states(versions, "two") == {2: "END", 3: "AVAILABLE"})


async def test_labels_of_the_first_configuration_hold_as_soon_as_their_version_is_loaded(
    light_exports: dict[int, Path], tmp_path: Path
):
    base = tmp_path / "m"
    put(base, 1, light_exports[1])
    put(base, 2, light_exports[2])
    labels = {"stable": 1, "next": 2, "later": 3}
    async with running(ModelConfig("m", base, All(), labels)) as versions:
        assert await ask(versions, spec("m", label="stable")) == 1
        assert await ask(versions, spec("m", label="next")) == 2
        for label in ("later", "none"):
            with pytest.raises(StatusError) as unknown:
                versions.find(spec("m", label=label))
            assert unknown.value.code is grpc.StatusCode.INVALID_ARGUMENT
            assert unknown.value.message == f"Unrecognized servable version label: {label}"
        put(base, 3, light_exports[1])
        await eventually(lambda: states(versions, "m").get(3) == "AVAILABLE")
        assert await ask(versions, spec("m", label="later")) == 3


async def test_a_reload_may_label_what_is_loaded_only(light_exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    put(base, 1, light_exports[1])
    put(base, 2, light_exports[2])

    def labelled(**labels: int) -> ListedModels:
        return ListedModels([ModelConfig("m", base, All(), labels)])

    async with running(configs=labelled(stable=1)) as versions:
        with pytest.raises(StatusError) as refused:
            await versions.reload(labelled(stable=3, next=2))
        assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refused.value.message == (
            "Request to assign label to version 3 of model m, which is not currently available for inference"
        )
        assert await ask(versions, spec("m", label="stable")) == 1, "nothing is changed"
        await versions.reload(labelled(stable=2))
        assert await ask(versions, spec("m", label="stable")) == 2
        await versions.reload(labelled(stable=3), strict_labels=False)
        assert await ask(versions, spec("m", label="stable")) == 2
        put(base, 3, light_exports[1])
        await eventually(lambda: versions.labelled("m", "stable") == 3)

    async with running(configs=labelled(stable=1), allow_version_labels_for_unavailable_models=True) as versions:
        await versions.reload(labelled(stable=1, next=9))
        with pytest.raises(StatusError, match=r"Servable not found for request: Specific\(m, 9\)"):
            versions.find(spec("m", label="next"))
        with pytest.raises(StatusError, match="Request to assign label to version 9 of model m"):
            await versions.reload(labelled(stable=9))  # a label in use moves to what is loaded only


async def test_a_reload_replaces_the_models_and_says_which_did_not_load(light_exports: dict[int, Path], tmp_path: Path):
    put(tmp_path / "a", 1, light_exports[1])
    put(tmp_path / "b", 1, light_exports[1])
    broken = put(tmp_path / "c", 5, light_exports[1])
    (broken / "saved_model.pb").write_bytes(b"not a graph")
    a, b, c = (ModelConfig(name, tmp_path / name) for name in "abc")
    async with running(a, b) as versions:
        await versions.reload(ListedModels([b]))
        with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(a\)"):
            versions.find(spec("a"))
        assert await ask(versions, spec("b")) == 1
        with pytest.raises(StatusError) as failed:
            await versions.reload(ListedModels([a, c, ModelConfig("d", tmp_path / "d")]))
        assert failed.value.code is grpc.StatusCode.UNKNOWN
        assert failed.value.message.startswith(
            "2 model(s) did not become available: {{{name: c version: 5} due to error: "
        )
        assert f"(Cannot parse file '{broken / 'saved_model.pb'}': " in versions.failures()[0]
        assert f"Could not find base path {tmp_path / 'd'} for servable d" in failed.value.message
        assert await ask(versions, spec("a")) == 1, "what loads is served"
        assert list(versions.serving) == ["a"]
        shutil.rmtree(broken)
        put(tmp_path / "c", 5, light_exports[1])
        await eventually(lambda: "c" in versions.serving)


async def test_another_base_path_is_another_model(light_exports: dict[int, Path], tmp_path: Path):
    put(tmp_path / "old", 3, light_exports[1])
    put(tmp_path / "new", 3, light_exports[2])
    async with running(ModelConfig("m", tmp_path / "old")) as versions:
        await versions.reload(ListedModels([ModelConfig("m", tmp_path / "new")]))
        assert versions.find(spec("m")).directory == tmp_path / "new" / "3"
        await eventually(lambda: states(versions, "m") == {3: "AVAILABLE"})


async def test_what_labels_stand_for_and_what_is_waited_for_is_in_the_log(
    light_exports: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    base = tmp_path / "m"
    put(base, 1, light_exports[1])
    put(base, 2, light_exports[2])
    caplog.set_level("INFO")

    def configured(policy: VersionPolicy, **labels: int) -> ListedModels:
        return ListedModels([ModelConfig("m", base, policy, labels)])

    def said() -> list[str]:
        messages = [message for message in caplog.messages if re.match("m: (label|version 77)", message)]
        caplog.clear()
        return messages

    some = Specific(frozenset({2, 77}))
    async with running(configs=configured(some, stable=77, canary=2), poll_seconds=0.01) as versions:
        assert said() == [
            "m: label canary is now version 2",
            f"m: version 77 is asked for and is not in {base}",
            f"m: label stable waits for version 77, which is not in {base}",
        ]
        await versions.reload(configured(All(), stable=2), strict_labels=False)
        assert said() == ["m: label stable is now version 2", "m: label canary is removed"]
        await versions.reload(configured(All(), stable=7), strict_labels=False)
        for _ in range(3):
            await versions.poll()
        assert said() == [f"m: label stable waits for version 7, which is not in {base}; it stays at version 2"]
        put(base, 7, light_exports[1])
        await eventually(lambda: versions.labelled("m", "stable") == 7)
        assert said() == ["m: label stable is now version 7"]
        await versions.reload(configured(Latest(), stable=1), strict_labels=False)
        assert said() == [
            "m: label stable is now version 1",  # until it is unloaded
            "m: label stable waits for version 1, which the version policy leaves out",
        ]
    assert said() == []


async def test_a_base_path_that_goes_wrong_says_that_what_is_loaded_is_still_served(
    light_exports: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    base, wrong = tmp_path / "m", tmp_path / "wrong"
    put(base, 1, light_exports[1])
    async with running(ModelConfig("m", base)) as versions:
        await versions.reload(ListedModels([ModelConfig("m", wrong)]))
        missing = f"Could not find base path {wrong} for servable m: No such file or directory"
        assert f"{missing}. What is loaded is still served." in caplog.messages
        assert versions.failures() == [missing], "as TensorFlow Serving has it"
        assert await ask(versions, spec("m")) == 1
