"""`pdms serve`: the API on a socket. Loopback unless told otherwise; a reverse proxy adds TLS.

No access log: paths hold one-time secrets. No server header. A request that is no HTTP is refused by the server itself.
Callers without a credential are counted by address: behind a proxy on this machine, by the one that it forwards.
"""

import errno
import socket

from pdms.api.app import create_app
from pdms.bootstrap.app import App
from pdms.errors import Conflict, InvalidInput

HOST, PORT = "127.0.0.1", 8000
PROXIES = ["127.0.0.1", "::1"]
"""Whose X-Forwarded-For is believed, from the right up to the first address that is none of these."""


def serve(app: App, host: str = HOST, port: int = PORT) -> None:
    """Serve until interrupted. :param host: a loopback address unless a proxy with TLS stands before it.

    :raises InvalidInput: this machine has no such address, or may not listen there.
    :raises Conflict: something else listens there.
    """
    import uvicorn

    config = uvicorn.Config(
        create_app(app),
        access_log=False,
        server_header=False,
        log_level="warning",
        proxy_headers=True,
        forwarded_allow_ips=PROXIES,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=30,
        limit_concurrency=256,
        ws="none",
    )
    with _listening(host, port) as listening:
        uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    found: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(2048)
    except (OSError, UnicodeError) as error:
        if found is not None:
            found.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise Conflict("port: something else listens there already") from None
        raise InvalidInput("host, port: cannot be listened on by this machine") from None
    return found
