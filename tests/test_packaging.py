"""What is installed: one package, which the names of a user's own modules do not touch."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, SMALL, reviews

EVERYDAY = ("errors", "models", "monitoring", "pipelines", "serving", "workspace")


def run(*command: object, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the files that git knows, in a copy, with what is installed here."""
    copy, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).stdout.split("\0")
    for name in filter(None, names):
        if (source := ROOT / name).is_symlink():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).symlink_to(os.readlink(source))
        elif source.is_file() and not name.startswith("tests/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(source.read_bytes())
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    run(sys.executable, "-c", code, built, cwd=copy)
    return next(built.glob("*.whl"))


@pytest.fixture(scope="session")
def python_of_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment that holds the wheel, and by a line of a .pth file the dependencies of this one."""
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
    python = environment / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "-q",
        "--offline",
        "--no-deps",
        "--python",
        python,
        wheel,
        cwd=environment,
    )
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder whose own modules have everyday names, and break when they are imported."""
    for name in EVERYDAY[::2]:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the user\\'s own module')\n")
    for name in EVERYDAY[1::2]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the user\\'s own package')\n")
    reviews(300).to_csv(tmp_path / "reviews.csv", index=False)
    return tmp_path


def test_a_wheel_holds_one_package_of_real_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"unroll"}
        assert not any(info.external_attr >> 28 == 0xA for info in archive.infolist())  # a symbolic link's mode
    tracked = run("git", "ls-files", "unroll", *(f"{name}" for name in EVERYDAY[1:5]), cwd=ROOT).stdout.split()
    for name in tracked:
        if (ROOT / name).is_file():
            assert f"unroll/{name.removeprefix('unroll/')}" in names


@pytest.mark.parametrize("installed", ["editable", "wheel"])
def test_modules_of_the_same_names_in_a_users_folder_are_in_nobodys_way(
    installed: str, crowded: Path, request: pytest.FixtureRequest
) -> None:
    python = request.getfixturevalue("python_of_wheel") if installed == "wheel" else Path(sys.executable)
    found = run(python, "-c", "import unroll, os; print(os.path.dirname(unroll.__file__))", cwd=crowded).stdout.strip()
    assert Path(found).resolve().is_relative_to(ROOT) == (installed == "editable")
    command = python.with_name("unroll")
    assert "train" in run(command, "--help", cwd=crowded).stdout
    assert "train" in run(python, "-m", "unroll", "--help", cwd=crowded).stdout
    assert "--model_base_path" in run(python.with_name("unroll-model-server"), "--help", cwd=crowded).stdout
    run(python, "-c", "from unroll import AsyncClient, Client, ServingError, UserError", cwd=crowded)
    trained = run(
        command, "train", "sentiment", "--data", "reviews.csv", *SMALL, "--set", "train.epochs=1", cwd=crowded
    )
    assert "It is the champion" in trained.stdout
