"""The HTTP API: translation only. Parse, call one service function, render.

`create_app` is in `pdms.api.app`, `serve` in `pdms.api.server`: both import every store.
"""
