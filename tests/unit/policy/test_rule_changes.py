"""No rule changes without being told of: every part of a policy, changed once, is named, and weaker ones as weaker."""

import dataclasses
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.policies import SHIPPED
from pdms.policy.canonical import plain
from pdms.policy.definitions import Policy
from pdms.policy.loader import load
from pdms.policy.rule_changes import Effect, in_words, rule_changes
from pdms.policy.stored import content_of
from pdms.taxonomy import Language


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load(SHIPPED)


def other(value: Any) -> Any:
    """A value of the same kind that says something else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        one = dataclasses.fields(value)[-1].name
        return dataclasses.replace(value, **{one: other(getattr(value, one))})
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, date):
        return date(2001, 1, 1)
    if isinstance(value, tuple | frozenset):
        return type(value)(list(value)[1:]) if value else type(value)(["one more"])
    if isinstance(value, dict) or hasattr(value, "items"):
        name = next(iter(value), "one")
        return {**value, name: other(value[name])} if value else {"one": "more"}
    return f"{value} otherwise"


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(Policy) if one.name != "digest"])
def test_a_change_anywhere_in_a_policy_is_told(policy: Policy, name: str) -> None:
    after = dataclasses.replace(policy, **{name: other(getattr(policy, name))})
    assert plain(getattr(after, name)) != plain(getattr(policy, name))
    found = rule_changes(policy, after)
    assert found
    assert {one.path.split(".")[0] for one in found} == {name}
    assert all(one.before != one.after for one in found)


def test_every_value_of_every_view_budget_role_and_purpose_is_told(policy: Policy) -> None:
    told = 0
    for part in ("views", "budgets", "roles", "purposes"):
        things = getattr(policy, part)
        name, thing = next(iter(things.items()))
        for one in dataclasses.fields(thing):
            changed = dataclasses.replace(thing, **{one.name: other(getattr(thing, one.name))})
            found = rule_changes(policy, dataclasses.replace(policy, **{part: {**things, name: changed}}))
            assert found, one.name
            assert all(c.path.startswith(f"{part}.{name}.{one.name}") for c in found), found
            told += 1
    assert told > 50


def test_the_same_rules_in_another_order_are_told_too(policy: Policy) -> None:
    view = policy.views["member_value"]
    turned = dataclasses.replace(view, features=view.features[::-1])
    after = dataclasses.replace(policy, views={**policy.views, view.name: turned})
    assert content_of(after) != content_of(policy)
    assert [one.path for one in rule_changes(policy, after)] == ["views.member_value.features"]
    assert rule_changes(policy, policy) == ()


def edited(folder: Path, **changes: Any) -> Policy:
    """The shipped policy with values at `views/member_value.yaml` or `policy.yaml` set by dotted path."""
    shutil.copytree(SHIPPED, folder)
    for place, value in changes.items():
        file, *keys = place.split("__")
        path = folder / ("policy.yaml" if file == "policy" else f"views/{file}.yaml")
        said = yaml.safe_load(path.read_text("utf-8"))
        at = said
        for key in keys[:-1]:
            at = at[key]
        assert keys[-1] in at
        at[keys[-1]] = value
        path.write_text(yaml.safe_dump(said, allow_unicode=True, sort_keys=False), "utf-8")
    return load(folder)


def test_weaker_rules_stand_first_and_say_so_in_both_languages(policy: Policy, tmp_path: Path) -> None:
    (budget,) = policy.budgets
    after = edited(
        tmp_path / "next",
        member_value__min_cell=60,
        member_value__k=12,
        member_value__expiry_days=policy.views["member_value"].expiry_days + 1,
        policy__roles__support__scopes=["support", "admin"],
    )
    after = dataclasses.replace(after, budgets={budget: dataclasses.replace(after.budgets[budget], epsilon=9.0)})
    found = {one.path: (one.before, one.after, one.effect) for one in rule_changes(policy, after)}
    days = policy.views["member_value"].expiry_days
    assert found == {
        f"budgets.{budget}.epsilon": ("4.0", "9.0", Effect.WEAKER),
        "roles.support.scopes": ('["support"]', '["support","admin"]', Effect.WEAKER),
        "views.member_value.expiry_days": (str(days), str(days + 1), Effect.WEAKER),
        "views.member_value.k": (str(policy.views["member_value"].k), "12", Effect.STRONGER),
        "views.member_value.min_cell": (str(policy.views["member_value"].min_cell), "60", Effect.STRONGER),
    }
    assert [one.effect for one in rule_changes(after, policy)][:2] == [Effect.WEAKER, Effect.WEAKER]
    (first, *_) = rule_changes(policy, after)
    assert in_words(first, language=Language.ZH)["effect"] == "放宽"
    assert in_words(first, language=Language.EN)["effect"] == "weaker"


def test_what_is_granted_anew_or_barred_no_more_is_weaker(policy: Policy) -> None:
    support = policy.roles["support"]
    twin = dataclasses.replace(policy, roles={**policy.roles, "twin": support})
    (found,) = rule_changes(policy, twin)
    assert (found.path, found.before, found.effect) == ("roles.twin", None, Effect.WEAKER)
    assert rule_changes(twin, policy)[0].effect is Effect.STRONGER
    assert policy.denied_tags
    fewer = dataclasses.replace(policy, denied_tags=policy.denied_tags[1:])
    assert rule_changes(policy, fewer)[0].effect is Effect.WEAKER
    swapped = dataclasses.replace(
        policy, roles={**policy.roles, "support": dataclasses.replace(support, scopes=("admin",))}
    )  # type: ignore[arg-type]  # as text, for the test
    assert rule_changes(policy, swapped)[0].effect is Effect.WEAKER
    untimed = dataclasses.replace(policy.purposes["segment"], human_review=not policy.purposes["segment"].human_review)
    (found,) = rule_changes(policy, dataclasses.replace(policy, purposes={**policy.purposes, "segment": untimed}))
    assert found.effect is (Effect.STRONGER if untimed.human_review else Effect.WEAKER)
