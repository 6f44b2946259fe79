"""Which version of the code runs."""

import subprocess


def git_revision() -> str:
    """The commit of the working directory, with `-dirty` for uncommitted changes; `unknown` outside git."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match=NeVeR"]
    try:
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
