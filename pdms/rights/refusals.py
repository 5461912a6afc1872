"""Refusals: the grounds that the law names, and the letter that tells a requester of one (PIPL-50, MIN-34).

Guarantees: every ground has its article; the letter says what was asked, why it is refused and what can be done against
it, in zh-CN and English, and holds no member data. Pure.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

from pdms.policy.definitions import Controller
from pdms.taxonomy import Language, Requester


class RefusalCode(StrEnum):
    """Grounds on which a request may be refused (requirements §2), each with the article it stands on."""

    NOT_VERIFIED = "NOT_VERIFIED"
    NO_AUTHORITY = "NO_AUTHORITY"
    OTHERWISE_ARRANGED = "OTHERWISE_ARRANGED"
    CONFIDENTIAL = "CONFIDENTIAL"
    STATUTORY_RETENTION = "STATUTORY_RETENTION"
    CRIME_OR_SECURITY = "CRIME_OR_SECURITY"
    THIRD_PARTY_HARM = "THIRD_PARTY_HARM"
    INFEASIBLE = "INFEASIBLE"
    EXCESSIVE = "EXCESSIVE"
    UNPROVEN = "UNPROVEN"


ARTICLES: Final[Mapping[RefusalCode, str]] = {
    RefusalCode.NOT_VERIFIED: "NDR-23",
    RefusalCode.NO_AUTHORITY: "PIPL-49",
    RefusalCode.OTHERWISE_ARRANGED: "PIPL-49",
    RefusalCode.CONFIDENTIAL: "PIPL-45-1",
    RefusalCode.STATUTORY_RETENTION: "PIPL-47-2",
    RefusalCode.CRIME_OR_SECURITY: "T35273-8.7",
    RefusalCode.THIRD_PARTY_HARM: "NDR-25",
    RefusalCode.INFEASIBLE: "PIPL-47-2",
    RefusalCode.EXCESSIVE: "NDR-25",
    RefusalCode.UNPROVEN: "PIPL-46-2",
}
OF_KIN: Final = frozenset({RefusalCode.OTHERWISE_ARRANGED})
"""Grounds that only kin can be refused on."""
GROUNDS: Final[Mapping[RefusalCode, tuple[str, str]]] = {
    RefusalCode.NOT_VERIFIED: ("请求人的身份未能核实", "the requester's identity was not confirmed"),
    RefusalCode.NO_AUTHORITY: (
        "请求人无权代为提出此项请求，或没有自身的合法、正当利益",
        "the requester has no authority to ask for this, or no lawful and proper interest of their own",
    ),
    RefusalCode.OTHERWISE_ARRANGED: (
        "会员生前对其个人信息另有安排",
        "the member arranged otherwise for their data while alive",
    ),
    RefusalCode.CONFIDENTIAL: ("法律、行政法规规定应当保密", "the law asks for confidentiality"),
    RefusalCode.STATUTORY_RETENTION: (
        "法律、行政法规规定的保存期限未届满",
        "the law's own period of keeping has not ended",
    ),
    RefusalCode.CRIME_OR_SECURITY: (
        "与犯罪侦查、国家安全或公共安全直接相关",
        "it concerns the investigation of crime, national or public security",
    ),
    RefusalCode.THIRD_PARTY_HARM: ("将损害他人合法权益", "it would harm the lawful interests of others"),
    RefusalCode.INFEASIBLE: ("技术上难以实现", "it cannot be done technically"),
    RefusalCode.EXCESSIVE: ("请求明显超出合理范围", "the request is manifestly excessive"),
    RefusalCode.UNPROVEN: ("所提供的更正内容未能证实", "what was to be corrected was not proven"),
}


def article_of(code: RefusalCode, *, requester: Requester) -> str:
    """Return the article that a refusal stands on; authority is another article's matter for each requester."""
    if code is RefusalCode.NO_AUTHORITY and requester is Requester.GUARDIAN:
        return "MIN-34"
    return ARTICLES[code]


def letter(
    *, number: str, received_on: date, code: RefusalCode, article: str, controller: Controller
) -> dict[Language, str]:
    """Return the written refusal in each language: decision, reason, article, and what the requester may do."""
    chinese, english = GROUNDS[code]
    return {
        Language.ZH: f"您于{received_on.isoformat()}提出的个人信息请求（编号{number}），我们不予办理。"
        f"理由：{chinese}（{article}）。如有异议，可通过{controller.contact}向我们申诉，"
        "也可以向履行个人信息保护职责的部门投诉、举报，或者依法向人民法院提起诉讼（个人信息保护法第五十条、第六十五条）。"
        f"{controller.name[Language.ZH]}",
        Language.EN: f"We do not carry out the request {number} on personal data that you made on "
        f"{received_on.isoformat()}, because {english} ({article}). You may object by writing to {controller.contact}, "
        "complain to the authority in charge of protecting personal information, or sue before a people's court "
        f"(PIPL art. 50 and 65). {controller.name[Language.EN]}",
    }
