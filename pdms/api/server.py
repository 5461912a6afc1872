"""`pdms serve`: the API on a socket. Loopback unless told otherwise; a reverse proxy adds TLS.

No access log: paths hold one-time secrets. No server header. A request that is no HTTP is refused by the server itself.
Callers without a credential are counted by address: behind a proxy on this machine, by the one that it forwards.
"""

from pdms.api.app import create_app
from pdms.bootstrap.app import App

HOST, PORT = "127.0.0.1", 8000
PROXIES = ["127.0.0.1", "::1"]
"""Whose X-Forwarded-For is believed, from the right up to the first address that is none of these."""


def serve(app: App, host: str = HOST, port: int = PORT) -> None:
    """Serve until interrupted. :param host: a loopback address unless a proxy with TLS stands before it."""
    import uvicorn

    uvicorn.run(
        create_app(app),
        host=host,
        port=port,
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
