"""Where things are in the checkout that these tools are run from."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"


def link(path: Path, target: Path) -> None:
    """Make `path` a symbolic link to `target` in one step, whatever it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() and path.readlink() == target:
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.symlink_to(target)
    new.replace(path)
    give_to_owner(path)


def give_to_owner(path: Path) -> None:
    """Let a file in the checkout belong to its owner, also when it is made with sudo."""
    if os.geteuid() == 0:
        owner = ROOT.stat()
        for one in (path.parent, path):
            os.chown(one, owner.st_uid, owner.st_gid, follow_symlinks=False)
