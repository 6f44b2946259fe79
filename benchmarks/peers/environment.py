"""Python environments of their own, for peers and for data."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unroll" / "peers"


def python(folder: Path = CACHE, requirements: Path = _REQUIREMENTS, without_dependencies: Path | None = None) -> Path:
    """Installs the packages unless they are there.

    Args:
        folder: where environments are kept, one for each state of the pinned versions.
        requirements: what is installed, by default the peers of the server.
        without_dependencies: what is installed without the packages that it needs, if anything.

    Returns:
        The environment's interpreter.
    """
    files = [requirements, _CONSTRAINTS, *([without_dependencies] if without_dependencies else [])]
    pinned = b"".join(file.read_bytes() for file in files)
    environment = folder.resolve() / hashlib.sha256(pinned).hexdigest()[:16]
    interpreter = environment / "bin" / "python"
    ready = environment / ".ready"
    if not ready.exists():
        print(f"Installing {requirements.parent.name} into {environment}", file=sys.stderr)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], check=True)
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(interpreter)]
        install += ["--constraint", str(_CONSTRAINTS), "--requirement"]
        subprocess.run([*install, str(requirements)], check=True)
        if without_dependencies:
            subprocess.run([*install, str(without_dependencies), "--no-deps"], check=True)
        ready.touch()
    return interpreter
