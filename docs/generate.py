"""Renews what the pages quote of commands: `python docs/generate.py`.

What stands between `<!-- unroll config sentiment --markdown -->` and `<!-- end -->` is what that command prints.
"""

import contextlib
import io
import re
from pathlib import Path

from unroll.cli import main

PAGES = sorted(Path(__file__).parent.glob("*.md"))
_QUOTED = re.compile(r"(<!-- unroll (?P<arguments>.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(page: str) -> str:
    """The page with what its commands print now."""
    return _QUOTED.sub(lambda quote: f"{quote[1]}\n{_printed(quote['arguments'])}\n{quote[3]}", page)


def _printed(arguments: str) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main(arguments.split())
    return output.getvalue()


if __name__ == "__main__":
    for file in PAGES:
        file.write_text(renewed(file.read_text()))
