"""What every call passes."""

import pytest

from serving.call import Call
from serving.front import Front
from serving.metrics import Metrics
from serving.status import StatusError


async def test_paths_that_clients_make_up_are_counted_as_one() -> None:
    metrics = Metrics()
    front = Front({}, metrics=metrics)
    for number in range(3000):
        with pytest.raises(StatusError, match=f"Method not found: /made/Up{number}$"):
            await front.answer(b"", Call(f"/made/Up{number}"))
    assert len(metrics._calls) == 1
    assert b'request_count{model_name="",status="UNIMPLEMENTED"} 3000' in metrics.exposition()
