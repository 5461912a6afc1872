"""What is shown of a value when the value itself may not be. Pure.

Guarantee: a mask shows at most what tells two members of one family apart (last digits, a surname), never enough to
reach or identify a person; an unknown mask shows nothing. Short values show nothing, lest the mask be the value.
"""

from collections.abc import Callable, Mapping

HIDDEN = "****"
_SHORT = 4
_PHONE = 8


def mask(name: str, value: str) -> str:
    """Return `value` under the mask `name`; "" stays ""."""
    if not value:
        return ""
    return MASKS.get(name, _all)(value)


def _all(value: str) -> str:  # noqa: ARG001 - all masks have one form
    return HIDDEN


def _phone(value: str) -> str:
    return HIDDEN if len(value) < _PHONE else f"{HIDDEN}{value[-4:]}"


def _email(value: str) -> str:
    local, at, domain = value.rpartition("@")
    if not at or not local:
        return HIDDEN
    return f"{local[0]}{HIDDEN}@{domain}" if len(local) > 1 else f"{HIDDEN}@{domain}"


def _name(value: str) -> str:
    if len(value) < 2:
        return HIDDEN
    return f"{value[0]}{'*' * min(len(value) - 1, 3)}"


def _id_number(value: str) -> str:
    return HIDDEN if len(value) <= _SHORT else f"{value[0]}{HIDDEN}{value[-1]}"


def _address(value: str) -> str:
    return HIDDEN if len(value) <= _SHORT * 2 else f"{value[:3]}{HIDDEN}"


def _login(value: str) -> str:
    return HIDDEN if len(value) <= _SHORT else f"{value[:2]}{HIDDEN}"


def _none(value: str) -> str:
    return value


MASKS: Mapping[str, Callable[[str], str]] = {
    "all": _all,
    "phone": _phone,
    "email": _email,
    "name": _name,
    "id_number": _id_number,
    "resident_id": _id_number,
    "address": _address,
    "login": _login,
    "none": _none,
}
"""Masks by the name that `policy.yaml` gives a field."""
