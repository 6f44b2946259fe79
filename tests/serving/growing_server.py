"""`python -m tests.serving.growing_server FLAGS`: `serving.server`, but any load makes its event loop count as full."""

import sys

from serving import flags
from serving.announcement import announce
from serving.process import leave, run
from serving.saturation import Thresholds
from serving.server import log_to_stderr

EAGER = Thresholds(
    busy=0.0, looks=2, look_seconds=0.2, idle_cores=0.0, memory=0.0, settle_seconds=1.0, retry_seconds=3.0
)

if __name__ == "__main__":
    given = flags.parse(sys.argv[1:], "growing_server")
    log_to_stderr()
    run(given, None, None, lambda ready: announce(ready, given.host, None, 1.0), thresholds=EAGER)
    leave()
