"""The peers' own Python environment."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unroll" / "peers"


def python(folder: Path = CACHE) -> Path:
    """Installs the peers unless they are there.

    Args:
        folder: where environments are kept, one for each state of the pinned versions.

    Returns:
        The environment's interpreter.
    """
    pinned = _REQUIREMENTS.read_bytes() + _CONSTRAINTS.read_bytes()
    environment = folder.resolve() / hashlib.sha256(pinned).hexdigest()[:16]
    interpreter = environment / "bin" / "python"
    ready = environment / ".ready"
    if not ready.exists():
        print(f"Installing the peers into {environment}", file=sys.stderr)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], check=True)
        pins = ["--constraint", str(_CONSTRAINTS), "--requirement", str(_REQUIREMENTS)]
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(interpreter), *pins]
        subprocess.run(install, check=True)
        ready.touch()
    return interpreter
