"""`python -m tests.serving.server.growing_server FLAGS`: the server, but its event loop counts as full at once."""

import sys

from unroll.serving.processes.leaving import leave
from unroll.serving.processes.logs import log_to_stderr
from unroll.serving.processes.saturation import Thresholds
from unroll.serving.server import flags
from unroll.serving.server.announcement import announce
from unroll.serving.server.process import run

AT_ONCE = Thresholds(
    busy=0.0, looks=2, look_seconds=0.2, idle_cores=-1.0, memory=0.0, settle_seconds=3600.0, retry_seconds=0.0
)
"""What any machine meets, and, since the first change settles for longer than a test takes, once."""

if __name__ == "__main__":
    given = flags.parse(sys.argv[1:], "growing_server")
    log_to_stderr()
    run(given, lambda ready: announce(ready, given.host, None, 1.0), thresholds=AT_ONCE)
    leave()
