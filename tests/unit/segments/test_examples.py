"""The example segments of the starter policies fit the views that they name."""

from common.policies import SHIPPED
from pdms.policy.loader import load
from pdms.segments.compiled import compile_rule
from pdms.segments.rules import parse, to_document
from pdms.views.definitions import space_of


def test_every_example_fits_its_view():
    policy = load(SHIPPED)
    assert policy.segments
    for name, document in policy.segments.items():
        rule = parse(document["rule"])
        assert document["name"] == name
        assert compile_rule(rule, space_of(policy, str(document["view"]))).features
        assert parse(to_document(rule)) == rule
