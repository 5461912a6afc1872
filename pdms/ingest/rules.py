"""Why a row is rejected: the closed list of rules, each with the sentence that a report shows beside it."""

from collections.abc import Mapping
from types import MappingProxyType

RULES: Mapping[str, str] = MappingProxyType(
    {
        # the record
        "COLUMN_COUNT": "the record has more or fewer cells than the header",
        "JSON_SYNTAX": "the line is not one whole JSON object",
        "NESTED_VALUE": "a cell holds a list or a record",
        "ENCODING": "a cell of the table holds bytes that are not UTF-8 text",
        "FIELD_TOO_LONG": "a cell is longer than one mebibyte",
        "DUPLICATE_KEY": "an earlier record of the file has the same key",
        "LINES_NOT_TOGETHER": "the order was complete before this line came; keep the lines of an order together",
        # who it belongs to
        "MISSING_MEMBER": "the record names no member",
        "UNKNOWN_MEMBER": "no member of that number is held",
        "SUPPRESSED": "the member was erased and has not registered anew",
        "MEMBER_DISABLED": "the member is disabled",
        # what is missing or not allowed
        "MISSING_KEY": "the record's own key is empty",
        "MISSING_VALUE": "a value that the kind needs is empty",
        "VALUE_UNKNOWN": "a coded value is not one of those that the source definition lists",
        "TOO_LONG": "the value is longer than its field allows",
        "CONTROL_CHARACTER": "the value holds a control character or a code point that is no character",
        # forms
        "PHONE_FORM": "not a telephone number",
        "EMAIL_FORM": "not an e-mail address",
        "ID_FORM": "not a resident ID number of 18 or 15 places",
        "ID_REGION": "the ID number begins with no known region",
        "ID_CHECKSUM": "the ID number's check digit is wrong",
        "ID_DATE": "the ID number holds an impossible date of birth",
        "GENDER_VALUE": "not a value that says a gender or that it is unknown",
        "DATE_FORM": "not a date of the expected form",
        "DATE_YEAR": "the year has too many digits or lies before 1900",
        "DATE_IMPOSSIBLE": "no such day",
        "DATE_FUTURE": "the date lies in the future",
        "INSTANT_FORM": "not a date and time of the expected form",
        "INSTANT_YEAR": "the year has too many digits or lies before 1970",
        "INSTANT_IMPOSSIBLE": "no such day or time",
        "INSTANT_FUTURE": "the instant lies in the future",
        "NUMBER_FORM": "not a number",
        "NUMBER_RANGE": "the number is too large",
        "TRUTH_VALUE": "neither yes nor no",
    }
)
"""Rule → sentence. Rules of consent records come from `consent` and are listed there."""
