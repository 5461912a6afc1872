"""The HTTP API: translation only. Parse, call one service function, render; `create_app` assembles it."""
