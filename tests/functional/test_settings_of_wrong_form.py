"""Settings of another form are wrong input: the variable is named, its value is not shown."""

import pytest

from common.shell import command_line

SECRET = "canary-4711"


@pytest.mark.parametrize("value", [SECRET, f'["{SECRET}"]', f'{{"{SECRET}": 1}}', f'{{"{SECRET}"'])
def test_a_mapping_of_roles_that_is_none(world, value):
    answer = command_line(
        world.app.home.root, world.tokens["admin"], "view", "list", environment={"PDMS_OIDC_ROLES": value}
    )
    assert (answer.code, "PDMS_OIDC_ROLES" in answer.err) == (2, True), answer.text
    assert SECRET not in answer.text


@pytest.mark.parametrize("value", [f"nolocal; {SECRET}", f"yarn {SECRET}", "local[2]x", "spark://"])
def test_a_place_for_spark_that_is_none(world, value):
    answer = command_line(
        world.app.home.root, world.tokens["admin"], "view", "list", environment={"PDMS_SPARK_MASTER": value}
    )
    assert (answer.code, "PDMS_SPARK_MASTER" in answer.err) == (2, True), answer.text
    assert SECRET not in answer.text


def test_a_sign_in_service_set_up_by_half(world):
    environment = {"PDMS_OIDC_ISSUER": f"https://{SECRET}.example"}
    answer = command_line(world.app.home.root, world.tokens["admin"], "view", "list", environment=environment)
    assert (answer.code, "PDMS_OIDC_JWKS" in answer.err) == (2, True), answer.text
    assert SECRET not in answer.text
