"""What follows changes must not end unheard."""

import asyncio
from types import SimpleNamespace

import pytest

from unroll.serving.server.model_server import _running


async def test_an_end_of_following_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks() -> None:
        raise ZeroDivisionError

    async def lasts() -> None:
        await asyncio.sleep(60)

    async with _running(SimpleNamespace(following=lambda: [breaks(), lasts()])):
        await asyncio.sleep(0.01)
        (record,) = caplog.records
    assert "no longer followed" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert len(caplog.records) == 1
    assert record.levelname == "ERROR"
