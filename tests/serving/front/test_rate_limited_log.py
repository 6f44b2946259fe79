import asyncio
import logging

from unroll.serving.front.rate_limited_log import RateLimitedLog

LOG = logging.getLogger("serving.test_rate_limited_log")


async def test_the_first_is_told_at_once_and_the_others_are_counted(caplog):
    strangers = RateLimitedLog(LOG, seconds=0.2)
    for number in range(1000):
        strangers.warning("%d came", number)
    assert caplog.messages == ["0 came"]
    async with asyncio.timeout(30):
        while len(caplog.messages) < 2:
            await asyncio.sleep(0.01)
    strangers.warning("another came")  # in the minute that began with the second line
    assert caplog.messages[1:] == ["999 came (the last of 999 like it since the line before)"]
    assert strangers.count == 1001


async def test_what_comes_after_a_quiet_minute_is_told_at_once(caplog):
    strangers = RateLimitedLog(LOG, seconds=0.01)
    strangers.warning("one came")
    async with asyncio.timeout(30):
        while len(caplog.messages) < 2:
            await asyncio.sleep(0.05)
            strangers.warning("another came")
    assert caplog.messages[:2] == ["one came", "another came"]
