"""What a clone needs besides its commits: submodules and files in LFS.

Nobody knows that the hosted service fetched either, and files ran there whose submodules are
private or whose LFS quota is used up. So both are fetched, and what cannot be fetched is said in
the log and leaves the checkout as it is: an empty folder, a pointer of three lines.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gradient_operator.helpers.git import Git

LFS_FILES: Final = ":(attr:filter=lfs)"


def fetch_submodules(git: Git) -> None:
    """Fetch the submodules, and theirs, where the commit has any.

    Raises:
        LocalDiskError: the disk is full.
    """
    if not git("ls-files", "--", ".gitmodules"):
        return
    _say("Fetching submodules...")
    why = git.complaint("submodule", "--quiet", "update", "--init", "--recursive", "--jobs=4")
    if why:
        _say(
            f"WARNING: not all submodules could be fetched: {why} What is missing is an empty "
            "folder now. A submodule on the host of the repository gets the same credentials, one "
            "elsewhere must be public."
        )
    if shutil.which("git-lfs") is not None:
        why = git.complaint("submodule", "--quiet", "foreach", "--recursive", "git lfs pull")
        if why:
            _say(f"WARNING: not all files that submodules keep in LFS could be fetched: {why}")


def fetch_large_files(git: Git) -> None:
    """Replace the pointers of files in LFS by their content, where the commit has any.

    Raises:
        LocalDiskError: the disk is full.
    """
    tracked = git("ls-files", "-z", "--", LFS_FILES).split("\0")
    files = [name for name in tracked if name]
    if not files:
        return
    if shutil.which("git-lfs") is None:
        _left(len(files), "the program git-lfs is not in this image.")
        return
    _say(f"Fetching {len(files)} files from LFS...")
    why = git.complaint("lfs", "pull")
    if why:
        _left(len(files), why)


def _left(count: int, why: str) -> None:
    _say(
        f"WARNING: {count} files are kept in LFS, and not all could be fetched: {why} What is "
        "missing is a pointer of three lines now. The LFS server must take the same credentials."
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
