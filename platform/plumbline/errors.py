"""Every error that Plumbline raises on purpose.

PlumblineError                 something failed; the message says what to do next       exit 1
├── UserError                  what the caller gave cannot be used                      exit 2
│   ├── SettingsError          a setting is unknown or has a wrong value
│   ├── MissingInputError      a file, folder, column, model or snapshot is not there
│   ├── MappingError           a mapping file does not fit the data or the contract
│   ├── ContractError          rows or a batch break the posting contract
│   ├── PortBusyError          a port is taken by another process
│   └── DiskFullError          a write failed because the disk has no room
├── GateRefusedError           a gate (parity, promotion) said no                       exit 3
├── DependencyError            a service or store that is needed did not answer         exit 4
└── IntegrityError             stored content is not what its name or digest says       exit 5
"""

from __future__ import annotations

from typing import ClassVar


class PlumblineError(Exception):
    """Base of the tree. The message is one or two sentences: what is wrong, and what to do next."""

    exit_code: ClassVar[int] = 1


class UserError(PlumblineError):
    """What the caller gave cannot be used."""

    exit_code = 2


class SettingsError(UserError):
    """A setting is unknown or has a wrong value."""


class MissingInputError(UserError):
    """A file, folder, column, model or snapshot that was named is not there."""


class MappingError(UserError):
    """A mapping file does not fit the data file or the posting contract."""


class ContractError(UserError):
    """Rows, or a whole batch, break the posting contract."""


class PortBusyError(UserError):
    """A port that is to be listened on is taken."""


class DiskFullError(UserError):
    """A write failed because the disk has no room left."""


class GateRefusedError(PlumblineError):
    """A gate said no: nothing was changed."""

    exit_code = 3


class DependencyError(PlumblineError):
    """A service or store that is needed did not answer."""

    exit_code = 4


class IntegrityError(PlumblineError):
    """Stored content is not what its name or digest says."""

    exit_code = 5
