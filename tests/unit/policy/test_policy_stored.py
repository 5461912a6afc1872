"""A policy comes back whole from its canonical form, and an altered text does not come back at all."""

import json
from dataclasses import replace

import pytest

from common.policies import SHIPPED
from pdms.errors import IntegrityBroken
from pdms.policy.loader import load
from pdms.policy.stored import content_of, policy_of


@pytest.fixture(scope="module")
def policy():
    return load(SHIPPED)


def test_what_was_stored_is_what_was_loaded(policy):
    again = policy_of(content_of(policy), digest=policy.digest)
    assert again == replace(policy, segments={}, tests=())
    assert content_of(again) == content_of(policy)
    assert again.purposes["order"].retention[0].days == 180
    with pytest.raises(TypeError):
        again.purposes["order"] = None


def test_a_changed_text_is_refused(policy):
    text = content_of(policy)
    assert text.count('"opt_out":true') == 2
    with pytest.raises(IntegrityBroken) as caught:
        policy_of(text.replace('"opt_out":true', '"opt_out":false', 1), digest=policy.digest)
    assert caught.value.code == "POLICY_ALTERED"


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.pop("purposes"),
        lambda said: said.update(novelty=1),
        lambda said: said["purposes"]["order"].update(minors="sometimes"),
        lambda said: said["purposes"]["order"].update(operations=["juggle"]),
    ],
)
def test_a_text_of_another_form_is_refused(policy, change):
    import hashlib

    said = json.loads(content_of(policy))
    change(said)
    text = json.dumps(said)
    with pytest.raises(IntegrityBroken) as caught:
        policy_of(text, digest=hashlib.sha256(text.encode()).hexdigest())
    assert caught.value.code == "POLICY_FORM"


def test_a_text_from_before_a_key_existed_reads_with_its_default(policy):
    import hashlib

    said = json.loads(content_of(policy))
    for key in ("reveal", "keys", "searches"):
        del said[key]
    text = json.dumps(said)
    assert policy_of(text, digest=hashlib.sha256(text.encode()).hexdigest()).keys is None
