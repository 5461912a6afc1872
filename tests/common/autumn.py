"""The segment and the campaign that most tests of sending are about."""

from typing import Any

SEGMENT: dict[str, Any] = {
    "name": "buyers",
    "view": "member_value",
    "label": {"zh-CN": "买家", "en": "Buyers"},
    "rule": {"feature": "orders", "at_least": 1},
}
CAMPAIGN: dict[str, Any] = {
    "name": "autumn",
    "segment": "buyers",
    "purpose": "market_email",
    "channel": "email",
    "min_size": 50,
    "frequency_cap": {"messages": 20, "days": 1},
    "template": {"language": "zh-CN", "subject": "秋日上新", "body": "{name}您好！\n退订： {opt_out} \n{sender}"},
}
