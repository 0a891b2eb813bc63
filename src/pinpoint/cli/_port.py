"""Where a server may listen."""

import errno
import socket

from pinpoint.errors import InputError


def free_port(host: str, port: int) -> int:
    """A port that can be listened on: `port`, or any where it is 0.

    Raises:
        InputError: it is taken, not allowed, or `host` is no address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"{host!r} is not an address.", where="--host", mend="Use 127.0.0.1.") from error
    with socket.socket(family, socket.SOCK_STREAM) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(address)
        except OSError as error:
            elsewhere = error.errno == errno.EADDRNOTAVAIL
            raise InputError(
                f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}.",
                where="--host" if elsewhere else "--port",
                mend="Use 127.0.0.1." if elsewhere else "Give another --port, or 0 for any that is free.",
            ) from error
        return int(found.getsockname()[1])
