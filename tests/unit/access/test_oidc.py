"""Tokens of a sign-in service, and what attackers make of them."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from pdms.access import jwks
from pdms.access.jwks import MOST_KEYS, KeySet, public_keys, reader
from pdms.access.oidc import LARGEST, Rejected, SignIn, looks_like
from pdms.errors import InvalidInput

NOW = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
ISSUER, AUDIENCE = "https://id.example/realms/shop", "pdms"
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"}, auto_kid=False)
EC = ECKey.generate_key("P-256", {"kid": "ec-1"}, auto_kid=False)
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1"}, auto_kid=False)
KEYS = {"RS256": RSA, "ES256": EC, "EdDSA": ED}
CLAIMS = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "f3a1c5",
    "iat": int(NOW.timestamp()) - 10,
    "exp": int(NOW.timestamp()) + 300,
    "roles": ["dpo", "someone-elses"],
}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public(*keys) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


class Issuer:
    """An issuer whose key set can be changed, or be out of reach; it counts how often it was asked."""

    def __init__(self, *keys):
        self.raw, self.asked, self.down = public(*keys), 0, False

    def __call__(self) -> bytes:
        self.asked += 1
        if self.down:
            raise OSError("out of reach")
        return self.raw


def sign_in(issuer=None, *, claim="roles") -> SignIn:
    roles = {"dpo": "compliance", "mkt": "marketing"}
    return SignIn(ISSUER, AUDIENCE, claim, roles, KeySet(issuer or Issuer(RSA, EC, ED)))


def token(alg="RS256", *, key=None, header=None, leave=(), **changes) -> str:
    claims = {name: value for name, value in (CLAIMS | changes).items() if name not in leave}
    key = key or KEYS[alg]
    head = {"alg": alg, "kid": key.kid, "typ": "JWT"} | (header or {})
    signing = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    signature = jws.JWSRegistry.algorithms[alg].sign(signing.encode(), key)
    return f"{signing}.{b64(signature)}"


def rejected(text: str, *, by: SignIn | None = None, now: datetime = NOW) -> str:
    with pytest.raises(Rejected) as caught:
        (by or sign_in()).identify(text, now=now)
    return caught.value.cause


@pytest.mark.parametrize("alg", sorted(KEYS))
def test_a_token_of_each_allowed_algorithm_names_its_subject_and_mapped_roles(alg):
    text = token(alg)
    assert looks_like(text)
    found = sign_in().identify(text, now=NOW)
    assert (found.subject, found.roles) == ("f3a1c5", {"compliance"})
    assert "f3a1c5" not in repr(found), "a subject may be somebody's name"


def test_roles_are_found_inside_objects_and_as_one_word():
    text = token(realm={"access": "mkt"}, leave=("roles",))
    assert sign_in(claim="realm.access").identify(text, now=NOW).roles == {"marketing"}
    for odd in (7, None, {"dpo": 1}, [["dpo"]], [7]):
        assert sign_in().identify(token(roles=odd), now=NOW).roles == frozenset()


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"leave": ("iss",)}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": ["another", "pdms2"]}, "audience"),
        ({"aud": {"pdms": 1}}, "audience"),
        ({"leave": ("aud",)}, "audience"),
        ({"exp": int(NOW.timestamp()) - 60}, "expired"),
        ({"leave": ("exp",)}, "times"),
        ({"exp": str(int(NOW.timestamp()) + 300)}, "times"),
        ({"exp": True}, "times"),
        ({"exp": 1e300}, "times"),
        ({"leave": ("iat",)}, "times"),
        ({"iat": int(NOW.timestamp()) + 61}, "not-yet"),
        ({"nbf": int(NOW.timestamp()) + 61}, "not-yet"),
        ({"nbf": "soon"}, "times"),
        ({"exp": int(NOW.timestamp()) + 90_000}, "lifetime"),
        ({"leave": ("sub",)}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": 7}, "subject"),
        ({"sub": "x" * 256}, "subject"),
    ],
)
def test_a_claim_that_breaks_a_rule_is_not_believed(changes, cause):
    assert rejected(token(**changes)) == cause


def test_clocks_may_differ_by_a_minute():
    seconds = int(NOW.timestamp())
    for changes in ({"exp": seconds - 59}, {"iat": seconds + 60}, {"nbf": seconds + 60}):
        assert sign_in().identify(token(**changes), now=NOW).subject


def test_no_algorithm_but_the_listed_ones():
    none = f"{b64(json.dumps({'alg': 'none', 'kid': 'rsa-1'}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    assert rejected(none + ".") == "form"
    assert rejected(none + ".AA") == "algorithm"
    for spelling in (
        "None",
        "NONE",
        "HS256",
        "RS384",
        "RS512",
        "PS256",
        "ES384",
        "ES256K",
        "rs256",
        "Ed25519",
        7,
        None,
    ):
        head = b64(json.dumps({"alg": spelling, "kid": "rsa-1"}).encode())
        assert rejected(f"{head}.{none.split('.')[1]}.AA") == "algorithm", spelling


@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES256", "EdDSA"])
def test_a_public_key_is_never_used_as_a_shared_secret(alg):
    """The old confusion: the token is signed by HMAC under the issuer's own public key."""
    for secret in (RSA.as_pem(private=False), RSA.as_der(private=False), public(RSA)):
        signing = f"{b64(json.dumps({'alg': alg, 'kid': 'rsa-1'}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
        mac = hmac.digest(secret, signing.encode(), hashlib.sha256)
        assert rejected(f"{signing}.{b64(mac)}") in ("algorithm", "signature", "key-kind")


def test_a_key_of_one_kind_verifies_no_other_algorithm():
    for alg, key in KEYS.items():
        for other in set(KEYS) - {alg}:
            text = token(other, header={"kid": key.kid})
            assert rejected(text) == "key-kind"
    only = RSA.as_dict(private=False) | {"alg": "RS512"}
    assert rejected(token(), by=sign_in(lambda: json.dumps({"keys": [only]}).encode())) == "key-kind"


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": RSA.as_dict(private=False)},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["AAAA"]},
        {"crit": ["b64"], "b64": False},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
)
def test_a_token_brings_no_key_and_no_meaning_of_its_own(extra):
    issuer = Issuer(RSA)
    assert rejected(token(header=extra), by=sign_in(issuer)) == "header"
    assert issuer.asked == 0


@pytest.mark.parametrize(
    "kid",
    ["../../etc/passwd", "/dev/null", "file:///etc/passwd", "https://evil.example/k", "' OR 1=1 --", "rsa-1\0", "密"],
)
def test_a_kid_is_a_name_and_leads_nowhere(kid):
    issuer = Issuer(RSA)
    assert rejected(token(header={"kid": kid}), by=sign_in(issuer)) == "kid"
    assert issuer.asked == 1


def test_a_kid_is_needed():
    for kid in ("", None, 7, ["rsa-1"]):
        assert rejected(token(header={"kid": kid})) == "kid"


def test_a_changed_byte_anywhere_is_found():
    text = token("ES256")
    head, body, signature = text.split(".")
    for place in range(0, len(signature) - 1, 7):
        changed = signature[:place] + ("A" if signature[place] != "A" else "B") + signature[place + 1 :]
        assert rejected(f"{head}.{body}.{changed}") == "signature"
    richer = b64(json.dumps(CLAIMS | {"roles": ["mkt"]}).encode())
    assert rejected(f"{head}.{richer}.{signature}") == "signature"
    assert rejected(f"{head}.{body}.{b64(bytes(64))}") == "signature", "r = s = 0 (CVE-2022-21449)"
    assert rejected(f"{head}.{body}.{b64(bytes(63))}") == "signature"


def test_another_key_of_the_same_name_signs_nothing():
    stranger = RSAKey.generate_key(2048, {"kid": "rsa-1"}, auto_kid=False)
    assert rejected(token(key=stranger)) == "signature"


def test_names_that_stand_twice_are_refused():
    head, _, _ = token().split(".")
    raw = json.dumps(CLAIMS)[:-1] + ', "sub": "somebody-else"}'
    signing = f"{head}.{b64(raw.encode())}"
    signature = jws.JWSRegistry.algorithms["RS256"].sign(signing.encode(), RSA)
    assert rejected(f"{signing}.{b64(signature)}") == "form"


@pytest.mark.parametrize("text", ["ey", "ey..", "ey.a.b.c", "e y.a.b", "ey.a.b\n", "ey.é.b", "eyJ.eyJ.eyJ"])
def test_what_is_no_token_is_refused(text):
    assert rejected(text) == "form"


def test_a_token_is_bounded_before_it_is_read():
    issuer = Issuer(RSA)
    assert rejected(token(padding="x" * LARGEST), by=sign_in(issuer)) == "size"
    assert rejected("ey" + "[" * 8000 + ".a.a", by=sign_in(issuer)) == "form"
    deep = b64(b"[" * 5000)
    assert rejected(f"{deep}.a.a", by=sign_in(issuer)) == "form"
    assert issuer.asked == 0


WEAK = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": b64(((1 << 2046) + 1).to_bytes(256, "big"))}
"""One bit short of 2,048."""


def test_weak_secret_and_foreign_keys_of_a_set_are_left_out():
    good = RSA.as_dict(private=False)
    listed = [
        good,
        WEAK,
        {"kty": "oct", "kid": "oct", "k": b64(bytes(64))},
        RSA.as_dict(private=True) | {"kid": "private"},
        good | {"kid": "encrypts", "use": "enc"},
        good | {"kid": "signs", "key_ops": ["sign"]},
        good | {"kid": "exponent", "e": "Aw"},
        good | {"kid": "huge", "n": b64(b"\xff" * 1100)},
        ECKey.generate_key("P-384", {"kid": "p384"}, auto_kid=False).as_dict(private=False),
        EC.as_dict(private=False) | {"kid": "off-curve", "x": b64(bytes(31) + b"\1"), "y": b64(bytes(31) + b"\1")},
        OKPKey.generate_key("X25519", {"kid": "x25519"}, auto_kid=False).as_dict(private=False),
        {"kty": "RSA", "kid": 7},
        {"kty": "RSA"},
        "no key",
        good | {"kid": "twice"},
        EC.as_dict(private=False) | {"kid": "twice"},
    ]
    assert set(public_keys(json.dumps({"keys": listed}).encode())) == {"rsa-1"}


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"keys": {}}', b"\xff", b'{"keys":' + b"[" * 9 + b"]" * 9])
def test_what_is_no_key_set_gives_no_keys(raw):
    with pytest.raises(ValueError, match=r".*"):
        assert public_keys(raw) is None
    assert rejected(token(), by=sign_in(lambda: raw)) == "keys"


def test_a_key_set_is_bounded():
    many = {"keys": [RSA.as_dict(private=False) | {"kid": f"k{n}"} for n in range(MOST_KEYS + 1)]}
    for raw in (json.dumps(many).encode(), b" " * (256 << 10) + public(RSA)):
        assert rejected(token(), by=sign_in(lambda raw=raw: raw)) == "keys"


def test_a_rotated_key_is_found_and_unknown_names_ask_once_a_minute():
    issuer = Issuer(RSA)
    by = sign_in(issuer)
    assert by.identify(token(), now=NOW).subject
    assert issuer.asked == 1
    issuer.raw = public(EC)
    for second in range(5):
        assert rejected(token("ES256"), by=by, now=NOW + timedelta(seconds=second)) == "kid"
    assert issuer.asked == 1, "no knocking at the issuer's door"
    assert by.identify(token("ES256"), now=NOW + timedelta(seconds=60)).subject
    assert issuer.asked == 2
    assert rejected(token(), by=by, now=NOW + timedelta(seconds=61)) == "kid", "the old key is gone"
    assert issuer.asked == 2


def test_a_key_taken_back_is_believed_an_hour_at_most():
    issuer = Issuer(RSA)
    by = sign_in(issuer)
    by.identify(token(), now=NOW)
    issuer.raw = public(EC)
    later = NOW + timedelta(hours=1)
    at = int(later.timestamp())
    assert rejected(token(iat=at, exp=at + 60), by=by, now=later) == "kid"


def test_an_issuer_out_of_reach_is_bridged_for_a_day():
    issuer = Issuer(RSA)
    by = sign_in(issuer)
    by.identify(token(), now=NOW)
    issuer.down = True
    for hours, fine in ((2, True), (23, True), (24, False)):
        now = NOW + timedelta(hours=hours)
        text = token(iat=int(now.timestamp()), exp=int(now.timestamp()) + 60)
        if fine:
            assert by.identify(text, now=now).subject
        else:
            assert rejected(text, by=by, now=now) == "keys"


def test_an_issuer_never_reached_lets_nobody_in():
    issuer = Issuer(RSA)
    issuer.down = True
    by = sign_in(issuer)
    assert [rejected(token(), by=by) for _ in range(5)] == ["keys"] * 5
    assert issuer.asked == 1


def test_many_threads_ask_the_issuer_once():
    issuer = Issuer(RSA)
    by, found = sign_in(issuer), []
    threads = [threading.Thread(target=lambda: found.append(by.identify(token(), now=NOW))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), issuer.asked) == (8, 1)


@pytest.mark.parametrize(
    "place", ["http://id.example/keys", "ftp://id.example/keys", "file:///etc/passwd", "gopher://x"]
)
def test_keys_come_from_a_file_or_over_https_only(place):
    with pytest.raises(InvalidInput, match="https"):
        reader(place)


def test_keys_are_read_from_a_file(tmp_path):
    path = tmp_path / "keys.json"
    by = sign_in(reader(str(path)))
    assert rejected(token(), by=by) == "keys"
    path.write_bytes(public(RSA))
    assert by.identify(token(), now=NOW + timedelta(minutes=1)).subject


def test_redirects_of_a_key_server_are_not_followed(tmp_path):
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/keys")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(public(RSA))

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        assert rejected(token(), by=sign_in(reader(f"{base}/moved"))) == "keys"
        assert asked == ["/moved"]
        assert sign_in(reader(f"{base}/keys")).identify(token(), now=NOW).subject
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert rejected(token(), by=sign_in(reader(f"{base}/keys"))) == "keys"


def test_a_slow_issuer_delays_nobody_whose_key_is_at_hand():
    issuer, let_go, begun = Issuer(RSA), threading.Event(), threading.Event()
    by = sign_in(issuer)
    by.identify(token(), now=NOW)
    read, later = by.keys.read, NOW + timedelta(minutes=2)

    def slow():
        begun.set()
        assert let_go.wait(30)
        return read()

    by.keys.read, found = slow, []
    stranger = threading.Thread(target=lambda: found.append(rejected(token("ES256"), by=by, now=later)), daemon=True)
    stranger.start()
    assert begun.wait(30)
    known = threading.Thread(target=lambda: found.append(by.identify(token(), now=later).subject), daemon=True)
    known.start()
    known.join(3)
    assert found == ["f3a1c5"], "a known key is found while the issuer is being asked"
    assert rejected(token("ES256"), by=by, now=later) == "kid", "nobody else waits for an unknown key"
    let_go.set()
    stranger.join(30)
    assert (found, issuer.asked) == (["f3a1c5", "kid"], 2)


def test_who_caused_a_reading_waits_for_a_bounded_time(monkeypatch):
    monkeypatch.setattr(jwks, "TIMEOUT_SECONDS", 0.1)
    let_go, ended = threading.Event(), threading.Event()

    def slow():
        let_go.wait(10)
        ended.set()
        return public(RSA)

    by = sign_in(slow)
    assert rejected(token(), by=by) == "keys"
    assert not ended.is_set()
    let_go.set()
    assert ended.wait(10)


@pytest.mark.parametrize("head", [True, False])
def test_an_issuer_that_drips_is_left_after_the_whole_time(head, monkeypatch):
    monkeypatch.setattr(jwks, "TIMEOUT_SECONDS", 0.5)
    enough, gone = threading.Event(), threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + (b"X-Long: " if head else b"\r\n"))
            while not enough.wait(0.1):
                connection.sendall(b" ")
        gone.set()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    failed = []

    def fetch():
        try:
            reader(f"http://127.0.0.1:{listening.getsockname()[1]}/keys")()
        except OSError:
            failed.append(True)

    fetching = threading.Thread(target=fetch, daemon=True)
    fetching.start()
    fetching.join(10)
    assert failed == [True]
    assert gone.wait(10), "its connection is closed"
    enough.set()
    thread.join(10)
    listening.close()


def test_an_answer_that_is_no_http_or_nested_without_end_leaves_the_keys_at_hand():
    issuer = Issuer(RSA)
    by = sign_in(issuer)
    by.identify(token(), now=NOW)
    issuer.raw = b"[" * 200_000
    assert rejected(token("ES256"), by=by, now=NOW + timedelta(minutes=1)) == "kid"
    assert by.identify(token(), now=NOW + timedelta(minutes=1)).subject
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            with listening.accept()[0] as connection:
                connection.sendall(b"no http\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(OSError, match="keys"):
            reader(f"http://127.0.0.1:{listening.getsockname()[1]}/keys")()
        thread.join()
