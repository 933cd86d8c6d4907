"""Addresses and ports that are listened on."""

from __future__ import annotations

import errno
import ipaddress
import socket

from plumbline.errors import PortBusyError, UserError

_LAST_PORT = 65_535


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def port_is_free(host: str, port: int) -> bool:
    """Whether a listener could bind to the port now.

    Raises:
        UserError: The address cannot be listened on at all (unknown host, no permission, no such port).
    """
    if not 0 <= port <= _LAST_PORT:
        raise UserError(f"{port} is no port. Choose one from 1 to {_LAST_PORT}.")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise UserError(f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another.") from error
    return True


def require_free_port(host: str, port: int, setting: str) -> None:
    """Refuses a taken port before anything slow is started.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        setting: Setting that chooses the port, named in the message.

    Raises:
        PortBusyError: Another process listens there.
    """
    if not port_is_free(host, port):
        raise PortBusyError(
            f"Port {port} on {host} is taken by another process. Stop it, or choose another port with {setting}."
        )
