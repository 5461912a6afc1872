"""Drafted mappings: what is sure is mapped, the rest cannot be loaded before a person decides."""

import pytest
import yaml

from pdms.discovery.columns import ColumnProposal
from pdms.discovery.draft import KINDS, TARGETS, draft_source
from pdms.errors import InvalidInput
from pdms.policy.documents import SourceDocument


def _proposal(
    header: str, field: str | None, confidence: float = 0.9, evidence: tuple[str, ...] = ()
) -> ColumnProposal:
    return ColumnProposal(header, field, None, "basic", confidence, evidence)


MEMBERS = (
    _proposal("会员编号", "member_id"),
    _proposal("手机", "phone"),
    _proposal("生日", "birth_date", evidence=("format:%Y-%m-%d",)),
    _proposal("性别", "gender"),
    _proposal("注册时间", "registered_at", evidence=("format:%Y-%m-%d %H:%M:%S",)),
)


def test_a_draft_without_open_questions_is_a_source_of_the_policy() -> None:
    source = SourceDocument.model_validate(yaml.safe_load(draft_source("shop-new", "members", MEMBERS)))
    assert {header: column.target for header, column in source.columns.items()} == {
        "会员编号": "key.member",
        "手机": "field.phone",
        "生日": "field.birth_date",
        "性别": "field.gender",
        "注册时间": "registered_at",
    }
    assert source.columns["生日"].format == "%Y-%m-%d"
    assert source.columns["性别"].values is not None
    assert source.columns["性别"].values["男"] == "male"


@pytest.mark.parametrize(
    "doubtful",
    [
        _proposal("备注", None),
        _proposal("电话", "phone", 0.4),
        _proposal("订单号", "order_id"),
        _proposal("固话", "phone"),
    ],
    ids=["unknown", "unsure", "no target of this kind", "second claim"],
)
def test_a_doubtful_column_makes_the_draft_unloadable(doubtful: ColumnProposal) -> None:
    text = draft_source("shop-new", "members", (*MEMBERS, doubtful))
    document = yaml.safe_load(text)
    assert document["columns"][doubtful.header] == {"classify": "UNDECIDED"}
    with pytest.raises(ValueError, match="classify"):
        SourceDocument.model_validate(document)


def test_of_two_columns_that_claim_one_target_neither_is_decided() -> None:
    document = yaml.safe_load(draft_source("shop-new", "members", (*MEMBERS, _proposal("座机", "phone"))))
    assert document["columns"]["手机"] == document["columns"]["座机"] == {"classify": "UNDECIDED"}


def test_an_outright_date_wins_over_a_bare_one() -> None:
    document = yaml.safe_load(draft_source("shop-new", "members", (*MEMBERS, _proposal("时间", "created_at"))))
    assert document["columns"]["注册时间"]["target"] == "registered_at"
    assert document["columns"]["时间"] == {"classify": "UNDECIDED"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_drafts_its_own_targets(kind: str) -> None:
    proposals = [_proposal(f"h{number}", field) for number, field in enumerate(TARGETS[kind])]
    document = yaml.safe_load(draft_source("shop-new", kind, proposals))
    assert document["kind"] == kind
    drafted = {entry["target"] for entry in document["columns"].values() if "target" in entry}
    assert "key.member" in drafted
    assert drafted <= set(TARGETS[kind].values())


@pytest.mark.parametrize(
    "header", ["a: b", "# no", "yes", "12", "a\nb", 'it\'s "quoted"', "全角：列", "{x}", "", "😀", "\u2028", "\ud800"]
)
def test_any_header_survives_the_way_through_yaml(header: str) -> None:
    document = yaml.safe_load(draft_source("shop-new", "members", [_proposal(header, None)]))
    assert list(document["columns"]) == [header]


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [("shop", "people", "SOURCE_KIND"), ("../shop", "members", "SOURCE_NAME"), ("Shop", "members", "SOURCE_NAME")],
)
def test_wrong_input_is_refused_by_rule(name: str, kind: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        draft_source(name, kind, MEMBERS)
    assert refused.value.code == code


def test_a_source_without_columns_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        draft_source("shop", "members", [])
    assert refused.value.code == "SOURCE_COLUMNS"
