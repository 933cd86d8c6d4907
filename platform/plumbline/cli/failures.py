"""What ends a command without being one of our errors, as one of them: the disk, the home, a pipe, Ctrl-C."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from plumbline.cli.output import STANDARD_OUTPUT
from plumbline.errors import DiskFullError, PlumblineError, UserError
from plumbline.files import nearest_existing


class StoppedError(PlumblineError):
    """The user pressed Ctrl-C."""

    exit_code = 130


def explained(error: BaseException, home: Path | None) -> PlumblineError | None:
    """The sentence for an error of the surroundings; None: a defect, whose traceback is wanted.

    Args:
        error: What ended the command; the cause may be hidden below what a library made of it.
        home: The installation's folder, where the settings could be read.
    """
    chain = list(_chain(error))
    if any(isinstance(each, KeyboardInterrupt) for each in chain):
        return StoppedError("Stopped by Ctrl-C.")
    systems = [each for each in chain if isinstance(each, OSError)]
    for each in systems:
        if each.errno in (errno.EPIPE, errno.EBADF) and each.filename in (None, STANDARD_OUTPUT):
            return UserError(OUTPUT_CLOSED)
        if each.errno in (errno.ENOSPC, errno.EDQUOT):
            if each.filename == STANDARD_OUTPUT:
                return DiskFullError("No room left where standard output goes. Free some there, or send it elsewhere.")
            where = each.filename or "the disk"
            return DiskFullError(f"No room left on {where}. Free some space, or point PLUMBLINE_HOME to a larger disk.")
    denied = next((each for each in systems if each.errno in _DENIED), None)
    database = next((each for each in chain if isinstance(each, sqlite3.OperationalError)), None)
    sentence = _of_a_path(denied, database, home)
    return None if sentence is None else UserError(sentence)


def require_home(home: Path) -> None:
    """Refuses a home that is a file, or lies below one, before a command that only reads takes it for an empty one.

    Raises:
        UserError: It is none that could be a folder.
    """
    place = nearest_existing(home)
    if not place.is_dir():
        raise UserError(f"The home {home} cannot be a folder: {place} is a file. Point PLUMBLINE_HOME to another.")


OUTPUT_CLOSED = "Standard output was closed before everything was written."


def _of_a_path(denied: OSError | None, database: sqlite3.Error | None, home: Path | None) -> str | None:
    if (denied or database) and home is not None and (problem := _unwritable(home)):
        return f"The home {home} cannot be written to ({problem}). Point PLUMBLINE_HOME to another folder."
    if denied is not None and denied.filename is not None and (denied.errno not in _OF_DEFECTS or _was_given(denied)):
        return f"{denied.filename} cannot be used ({denied.strerror}). Change its rights, or name another."
    if database is not None and any(word in str(database) for word in ("unable to open", "readonly")):
        return f"A database below {home} cannot be used ({database}). Make its files writable."
    return None


_OF_DEFECTS = frozenset((errno.EEXIST, errno.ENOENT))
"""A path that is missing or in the way counts only where it is the home's fault, or that of an argument."""
_DENIED = _OF_DEFECTS | {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG
}  # fmt: skip


def _was_given(error: OSError) -> bool:
    """Whether the path is one of the command line's, or lies below one."""
    path = Path(os.fsdecode(error.filename)).absolute()
    given = [Path(word.rpartition("=")[2]).absolute() for word in sys.argv[1:]]
    return any(path.is_relative_to(each) for each in given if each != Path.cwd())


def _unwritable(home: Path) -> str | None:
    """Why nothing can be written below the home, found out by trying; None: it can."""
    place = nearest_existing(home)
    try:
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError as error:
        return f"{error.strerror}: {place}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__
