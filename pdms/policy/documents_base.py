"""What all policy documents share: strict models and the small types of their keys and texts."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pdms.taxonomy import Language

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$", max_length=64)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Article = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*-?[0-9A-Za-z()\-. ,]*$", max_length=80)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
"""A code that may stand in the log, e.g. CALL_BACK."""
Days = Annotated[int, Field(ge=0, le=36_600)]
Texts = dict[Language, Line]


class Document(BaseModel):
    """Base of all: nothing unknown, nothing coerced, nothing echoed, no number that is none (.nan, .inf)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class Both(Document):
    """A text in both languages of the product."""

    zh: Line = Field(alias="zh-CN")
    en: Line

    def plain(self) -> dict[Language, str]:
        """Return the texts by language."""
        return {Language.ZH: self.zh, Language.EN: self.en}
