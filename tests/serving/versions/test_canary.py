"""A share of the traffic that names no version goes to the one labelled `canary`."""

from collections import Counter
from pathlib import Path

import pytest

from tests.serving.running_versions import ask, put, running, spec
from unroll.serving.protocol.status import StatusError
from unroll.serving.versions.model_config import ListedModels, ModelConfig
from unroll.serving.versions.version_policy import All, Specific

IDS = [f"request-{number}" for number in range(2000)]


@pytest.fixture
def base(light_exports: dict[int, Path], tmp_path: Path) -> Path:
    for version in (1, 2):
        put(tmp_path / "m", version, light_exports[version])
    return tmp_path / "m"


async def test_the_share_goes_to_the_canary_by_request_id(base: Path):
    async with running(ModelConfig("m", base, All(), {"canary": 2}), canary_share=0.1) as versions:
        chosen = [versions.find(spec("m"), request_id).version for request_id in IDS]
        assert chosen == [versions.find(spec("m"), request_id).version for request_id in IDS]
        # Binomial: 200 expected, standard deviation 13.4.
        assert 140 <= Counter(chosen)[2] <= 260
        assert await ask(versions, spec("m"), IDS[chosen.index(2)]) == 2
        assert await ask(versions, spec("m"), IDS[chosen.index(1)]) == 1
        assert versions.serving["m"].version == versions.find(spec("m")).version == 1
        assert {versions.find(spec("m", 1), request_id).version for request_id in IDS} == {1}
        assert {versions.find(spec("m", label="canary"), request_id).version for request_id in IDS} == {2}


async def test_a_larger_share_keeps_those_who_were_in_the_smaller(base: Path):
    canaries = []
    for share in (0.1, 0.5, 1.0):
        async with running(ModelConfig("m", base, All(), {"canary": 2}), canary_share=share) as versions:
            canaries.append({one for one in IDS if versions.find(spec("m"), one).version == 2})
    assert canaries[0] < canaries[1] < canaries[2] == set(IDS)


async def test_without_a_share_a_label_or_another_version_the_highest_serves(base: Path):
    one, canary = ModelConfig("m", base, All()), ModelConfig("m", base, All(), {"canary": 2})
    async with running(canary) as versions:
        assert {versions.find(spec("m"), one).version for one in IDS} == {2}
    async with running(one, canary_share=0.5) as versions:
        assert {versions.find(spec("m"), one).version for one in IDS} == {2}
        await versions.reload(ListedModels([canary]))
        assert {versions.find(spec("m"), one).version for one in IDS} == {1, 2}
        await versions.reload(ListedModels([one]))
        assert {versions.find(spec("m"), one).version for one in IDS} == {2}
    only = ModelConfig("m", base, Specific(frozenset({2})), {"canary": 2})
    async with running(only, canary_share=0.5) as versions:
        assert {versions.find(spec("m"), one).version for one in IDS} == {2}
        with pytest.raises(StatusError):
            versions.find(spec("m", 1), IDS[0])
