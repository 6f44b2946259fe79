"""What every call passes."""

from pathlib import Path

import pytest

from unroll.serving.front.auth import Auth
from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.status import StatusError


async def test_paths_that_clients_make_up_are_counted_as_one(tmp_path: Path) -> None:
    metrics = Metrics()
    dispatcher = Dispatcher({}, metrics=metrics)
    (tmp_path / "tokens").touch(0o600)
    (tmp_path / "tokens").write_text("app:0123456789abcdef\n")
    closed = Dispatcher({}, metrics=metrics, auth=Auth(tmp_path / "tokens"))
    for number in range(3000):
        with pytest.raises(StatusError, match=f"Method not found: /made/Up{number}$"):
            await dispatcher.answer(b"", Call(f"/made/Up{number}"))
        with pytest.raises(StatusError, match="No token"):
            closed.admit(Call(f"/made/Up{number}"))
    assert len(metrics._calls) == 2
    assert b'request_count{model_name="",status="UNIMPLEMENTED"} 3000' in metrics.exposition()
    assert b'request_count{model_name="",status="UNAUTHENTICATED"} 3000' in metrics.exposition()
