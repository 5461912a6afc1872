# ruff: noqa: SIM905  (the list of codes reads better so)
"""Whether a string of digits and letters can be what it looks like: checksums, dates, ranges.

Guarantee: pure functions on ASCII strings, True only for values that satisfy the public rule named. They deliberately
do not say that a number was ever issued. A resident ID's county is not held against its year of birth, since codes
were reassigned and real cards disagree with the lists.
"""

import datetime
import ipaddress
import re

PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 "
    "81 82 83 91".split()
)
"""GB/T 2260 province codes, and the 81-83 of residence permits for Hong Kong, Macao and Taiwan residents."""

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_OLDEST, _NEWEST = 1890, 2100


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B, for bank cards and IMEI."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = ord(char) - 48
        if place & 1:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def is_date(year: str, month: str, day: str) -> bool:
    """A day of the calendar that a living person could name."""
    if not _OLDEST <= int(year) <= _NEWEST:
        return False
    try:
        datetime.date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def is_resident_shape(number: str) -> bool:
    """18 places with a known province and a date of birth; the check digit is not looked at."""
    return (
        len(number) == 18
        and number[:17].isdecimal()
        and number[17] in "0123456789Xx"
        and number[:2] in PROVINCES
        and number[6:8] in {"18", "19", "20"}
        and is_date(number[6:10], number[10:12], number[12:14])
    )


def is_resident_id(number: str) -> bool:
    """GB 11643: shape and the ISO 7064 MOD 11-2 check character."""
    if not is_resident_shape(number):
        return False
    total = sum(weight * (ord(char) - 48) for weight, char in zip(_ID_WEIGHTS, number, strict=False))
    return number[17].upper() == "10X98765432"[total % 11]


def is_old_resident_id(number: str) -> bool:
    """The 15 digits used before 1999: no check digit, so only a label beside it makes it one."""
    return len(number) == 15 and number[:2] in PROVINCES and is_date("19" + number[6:8], number[8:10], number[10:12])


def is_hong_kong_id(number: str) -> bool:
    """`A123456(7)` or `AB123456(7)`, weights 9…2, modulo 11."""
    body = number.upper().replace("(", "").replace(")", "")
    if not re.fullmatch(r"[A-Z]{1,2}\d{6}[0-9A]", body):
        return False
    padded = body.rjust(9)
    values = [36 if char == " " else int(char, 36) for char in padded[:8]]
    total = sum(weight * value for weight, value in zip(range(9, 1, -1), values, strict=True))
    return "0123456789A"[-total % 11] == body[-1]


def is_uscc(code: str) -> bool:
    """GB 32100: 18 places, modulo 31."""
    if len(code) != 18 or code[0] not in "159ANY" or any(char not in _USCC_ALPHABET for char in code):
        return False
    total = sum(weight * _USCC_ALPHABET.index(char) for weight, char in zip(_USCC_WEIGHTS, code, strict=False))
    return _USCC_ALPHABET[-total % 31] == code[17]


_ISSUER = re.compile(
    r"62\d{14,17}"  # UnionPay
    r"|4\d{15}|(?:43674[25]|45635[12])\d{13}"  # Visa; 19-place debit cards that two Chinese banks issued under it
    r"|5[1-5]\d{14}|222[1-9]\d{12}|22[3-9]\d{13}|2[3-6]\d{14}|27[01]\d{13}|2720\d{12}"  # Mastercard
    r"|3[47]\d{13}|35\d{14}|3(?:0[0-5]|[689]\d)\d{11}|6011\d{12}|6[45]\d{14}"  # Amex, JCB, Diners, Discover
    r"|9558\d{15}|60\d{14,17}|9[0-9]\d{14,17}|84\d{14,17}"  # early debit cards of Chinese banks
)


def is_card_shape(digits: str) -> bool:
    """Length and first digits of an issuer's range (ISO/IEC 7812)."""
    return _ISSUER.fullmatch(digits) is not None


def is_bank_card(digits: str) -> bool:
    """An issuer's range and the Luhn digit."""
    return is_card_shape(digits) and luhn(digits) and len(set(digits)) > 1


def is_iban(code: str) -> bool:
    """ISO 13616: country, two check digits modulo 97."""
    if not 15 <= len(code) <= 34 or not code.isascii() or not code.isalnum():
        return False
    turned = (code[4:] + code[:4]).upper()
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def is_imei(digits: str) -> bool:
    """15 digits, the Luhn digit, and a reporting body that allocates (3GPP TS 23.003; 35, 86, 01, 99, 98)."""
    return len(digits) == 15 and digits[:2] in {"35", "86", "01", "99", "98"} and luhn(digits) and len(set(digits)) > 1


def is_mobile(digits: str) -> bool:
    """A mainland mobile number: 11 digits in a range that the ministry has opened."""
    return len(digits) == 11 and digits[0] == "1" and digits[1] in "3456789"


def is_ip(text: str) -> bool:
    """An IPv4 or IPv6 address, neither unspecified nor loopback."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback)


def is_position(first: str, second: str) -> bool:
    """Longitude and latitude in either order."""
    one, two = abs(float(first)), abs(float(second))
    return (one <= 180 and two <= 90) or (one <= 90 and two <= 180)
