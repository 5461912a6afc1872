"""A question in its canonical form: two that ask the same of the same data are one, and are answered once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["count", "histogram", "mean", "preview", "send"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `about` holds all that the answer depends on, in one form only: names, digests, numbers."""

    kind: Kind
    about: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The question as canonical JSON."""
        return json.dumps({"kind": self.kind, **self.about}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()
