"""Paths hold one-time secrets: no tracer that an installation sets up for the whole process hears of them."""

from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import trace

SECRET = "s3cret-of-a-link-in-a-message"


class Recorder(trace.TracerProvider):
    """A provider of tracers that keeps what they are told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        told = self.told

        class Tracer(trace.NoOpTracer):
            def start_span(self, name: str, *_: Any, **more: Any) -> trace.Span:
                told.append(f"{name} {more.get('attributes')}")
                return trace.INVALID_SPAN

        return Tracer()


def test_a_tracer_hears_of_no_path(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorder)
    assert type(api.http)(FastAPI()).get(f"/v1/unsubscribe/{SECRET}").status_code == 404
    assert any(SECRET in one for one in recorder.told)  # what FastAPI does where nobody forbids it
    recorder.told.clear()
    assert api.get("compliance", f"/v1/unsubscribe/{SECRET}").status_code >= 400
    assert api.get("compliance", "/v1/policies/current").status_code == 200
    assert recorder.told == []
