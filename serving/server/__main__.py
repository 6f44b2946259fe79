"""The model server as tensorflow_model_server is started: flags say what to serve.

python -m unroll.serving.server --port=8500 --rest_api_port=8501 --model_name=m --model_base_path=/models/m
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from unroll.errors import told_in_one_line
from unroll.serving.server import flags
from unroll.serving.server.start import start


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves what the flags name, by default those of the process's own command line; then exits."""
    with told_in_one_line():
        given = flags.parse(sys.argv[1:] if arguments is None else arguments, "python -m unroll.serving.server")
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        given.model_tuning_cache = given.model_tuning_cache or caches / "unroll" / "tuning"
        start(given)


if __name__ == "__main__":
    main()
