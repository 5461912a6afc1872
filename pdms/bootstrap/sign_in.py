"""The sign-in service that the settings name: all of it, or none."""

from pdms.access.jwks import KeySet, reader
from pdms.access.oidc import SignIn
from pdms.errors import InvalidInput
from pdms.policy.definitions import Policy
from pdms.settings import Settings


def sign_in_of(settings: Settings, policy: Policy) -> SignIn | None:
    """Return whose tokens are believed; None where no sign-in service is set up. Reads no keys yet.

    :raises InvalidInput: it is set up by half, or maps to a role that the policy does not know.
    """
    issuer, audience, place = settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks
    if issuer is None and audience is None and place is None:
        return None
    if not issuer or not audience or not place:
        raise InvalidInput("sign-in service: PDMS_OIDC_ISSUER, PDMS_OIDC_AUDIENCE and PDMS_OIDC_JWKS go together")
    if not settings.oidc_roles or not set(settings.oidc_roles.values()) <= set(policy.roles):
        raise InvalidInput(
            f"PDMS_OIDC_ROLES: values of the claim, and for each one of {', '.join(sorted(policy.roles))}"
        )
    return SignIn(issuer, audience, settings.oidc_role_claim, dict(settings.oidc_roles), KeySet(reader(place)))
