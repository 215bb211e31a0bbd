"""An issuer's keys: which can be used, which one a token means, and whether it signed."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt import get_algorithm_by_name

from app.core.errors import InvalidTokenException
from app.core.jwt.algorithms import ALGORITHMS
from app.core.jwt.compact import Token, read_token
from app.core.jwt.keys import Key, KeySet, verify
from tests.issuers import Signing, base64url, encoded

CLAIMS = {"sub": "ada"}
ES, ES_TOO = Signing.known("ES256", "es"), Signing.known("ES256", "es-2", 1)
RS, ED = Signing.known("RS256", "rs"), Signing.known("EdDSA", "ed")


def key_set(*published: Any) -> KeySet:
    return KeySet.read({"keys": list(published)})


def checked(keys: KeySet, text: str) -> None:
    token = read_token(text)
    key = keys.find(token)
    assert key is not None
    verify(token, key)


def refused(keys: KeySet, text: str) -> str:
    with pytest.raises(InvalidTokenException) as error:
        checked(keys, text)
    assert text not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return error.value.detail


def not_verified(token: Token, key: Key) -> str:
    with pytest.raises(InvalidTokenException) as error:
        verify(token, key)
    return error.value.detail


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_each_algorithm_verifies_what_it_signed(algorithm: str) -> None:
    signing = Signing.known(algorithm, "k")
    for published in (signing.jwk(), signing.jwk(alg=None, use=None), signing.jwk(key_ops=["verify"])):
        keys = key_set(published)
        checked(keys, signing.token(CLAIMS))
        other = Signing.known(algorithm, "k", 1)
        assert "signature" in refused(keys, other.token(CLAIMS))


def test_ed448_is_eddsa_too() -> None:
    signing = Signing("EdDSA", Signing.known("Ed448").private, "k")
    checked(key_set(signing.jwk()), signing.token(CLAIMS))


def test_not_a_letter_of_what_was_signed_may_change() -> None:
    text = ES.token(CLAIMS)
    header, claims, signature = text.split(".")
    for changed in (
        f"{encoded(ES.header(jku='x'))}.{claims}.{signature}",
        f"{header}.{encoded({'sub': 'eve'})}.{signature}",
        f"{header}.{claims}.",
        f"{header}.{claims}.{signature[:-4]}",
        f"{header}.{claims}.{signature}AAAA",
        f"{header}.{claims}.{base64url(bytes(64))}",
        f"{header}.{claims}.{base64url(b'0' + bytes(63))}",
    ):
        assert "signature" in refused(key_set(ES.jwk()), changed)


def test_a_token_means_the_key_that_it_names() -> None:
    keys = key_set(ES_TOO.jwk(), ES.jwk(), RS.jwk(), ED.jwk())
    for signing in (ES, ES_TOO, RS, ED):
        checked(keys, signing.token(CLAIMS))
    assert "signature" in refused(keys, ES.token(CLAIMS, kid="es-2"))
    assert keys.find(read_token(ES.token(CLAIMS, kid="new"))) is None
    assert keys.find(read_token(ES.token(CLAIMS, kid=""))) is None


def test_a_key_of_another_type_or_algorithm_is_not_used() -> None:
    keys = key_set(RS.jwk(), ES.jwk())
    assert "none of its algorithm ES256" in refused(keys, ES.token(CLAIMS, kid="rs"))
    assert "none of its algorithm PS256" in refused(keys, Signing("PS256", RS.private, "rs").token(CLAIMS))
    # Where the key does not say by which algorithm, either of its type may be.
    checked(key_set(RS.jwk(alg=None)), Signing("PS256", RS.private, "rs").token(CLAIMS))
    curve = Signing("ES384", Signing.known("ES384").private, "es")
    assert "none of its algorithm ES384" in refused(keys, curve.token(CLAIMS))


def test_without_a_key_id_it_is_the_only_key_that_fits() -> None:
    nameless = Signing("ES256", ES.private)
    checked(key_set(RS.jwk(), ES.jwk()), nameless.token(CLAIMS))
    checked(key_set(RS.jwk(), nameless.jwk()), nameless.token(CLAIMS))
    assert "must say with which" in refused(key_set(ES.jwk(), ES_TOO.jwk()), nameless.token(CLAIMS))
    assert key_set(RS.jwk()).find(read_token(nameless.token(CLAIMS))) is None


def test_two_keys_under_one_id_are_told_apart_by_their_type_alone() -> None:
    checked(key_set(RS.jwk(kid="k"), ES.jwk(kid="k")), ES.token(CLAIMS, kid="k"))
    assert "must say with which" in refused(key_set(ES_TOO.jwk(kid="k"), ES.jwk(kid="k")), ES.token(CLAIMS, kid="k"))


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_a_public_key_is_no_secret_to_sign_with(algorithm: str) -> None:
    pem = RS.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(RS.jwk()).encode()
    for secret in (pem, jwk, b"", base64url(b"k" * 32).encode()):
        signed = f"{encoded(RS.header(alg=algorithm))}.{encoded(CLAIMS)}"
        # As an attacker does: the library itself refuses to sign with a PEM.
        text = f"{signed}.{base64url(get_algorithm_by_name(algorithm).sign(signed.encode(), secret))}"
        for published in (RS.jwk(), RS.jwk(alg=None), RS.jwk(alg=algorithm)):
            keys = key_set(published, {"kty": "oct", "k": base64url(secret), "kid": "rs", "alg": algorithm})
            assert keys.passed_over == (2 if published["alg"] == algorithm else 1)
            for key in keys.keys:
                assert "signature" in not_verified(read_token(text), key)


def test_no_signature_is_verified_by_no_key() -> None:
    for algorithm in ("none", "None", "nOnE", "ES256"):
        token = read_token(f"{encoded(ES.header(alg=algorithm))}.{encoded(CLAIMS)}.")
        for key in key_set(ES.jwk()).keys:
            assert "signature" in not_verified(token, key)


def test_keys_that_come_with_the_token_are_not_looked_at() -> None:
    own = Signing.new("ES256", "es")
    text = own.token(CLAIMS, jwk=own.jwk(), jku="http://127.0.0.1:1/keys", x5u="http://127.0.0.1:1/", x5c=["AAAA"])
    assert "signature" in refused(key_set(ES.jwk()), text)


WEAK = Signing("RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024), "weak")
KOBLITZ = get_algorithm_by_name("ES256K").to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True)


@pytest.mark.parametrize(
    "published",
    [
        None, 1, "key", [], {}, {"kty": "EC"}, {"kty": "RSA", "kid": "k"}, {"kty": ["RSA"]}, {"kty": {}},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "k"}, {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA"},
        {"kty": "OKP", "crv": "X25519", "x": base64url(bytes(32))}, KOBLITZ,
        ES.jwk(use="enc"), ES.jwk(use=["sig"]), ES.jwk(key_ops=["sign"]), ES.jwk(key_ops=[]), ES.jwk(key_ops="verify"),
        ES.jwk(alg="ES384"), ES.jwk(alg="HS256"), ES.jwk(alg="none"), ES.jwk(alg=["ES256"]), ES.jwk(alg={}),
        ES.jwk(kid=7), ES.jwk(kid=["es"]), ES.jwk(crv="P-384"), ES.jwk(crv=["P-256"]), ES.jwk(x="AAAA"), ES.jwk(x=1),
        ES.jwk(x="é"), ES.jwk(x=base64url(bytes(32)), y=base64url(bytes(32))), ES.jwk(y=None), ES.jwk(d="AAAA"),
        RS.jwk(e="AA"), RS.jwk(n=""), RS.jwk(n="Ag"), RS.jwk(e=[]), RS.jwk(d="AAAA"), ED.jwk(x="AAAA"),
        ED.jwk(crv="Ed448"), RS.jwk(n=base64url(b"\xff" * 5000)), WEAK.jwk(),
    ],
)  # fmt: skip
def test_a_key_that_is_of_no_use_is_passed_over_and_no_harm_to_the_others(published: Any) -> None:
    keys = key_set(published, ED.jwk())
    assert (len(keys.keys), keys.passed_over) == (1, 1)
    checked(keys, ED.token(CLAIMS))
    assert key_set(published) == KeySet((), 1)


@pytest.mark.parametrize("document", [None, [], "keys", {}, {"keys": None}, {"keys": {}}, {"keys": "x"}])
def test_what_is_no_jwk_set_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="no JWK Set"):
        KeySet.read(document)


def test_an_issuer_may_publish_no_key() -> None:
    assert KeySet.read({"keys": []}) == KeySet(())


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "é", "=", "EC", "P-256", "sig", "AQAB", "A", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner),
    max_leaves=5,
)


@given(
    st.sampled_from([ES, RS, ED]),
    st.dictionaries(st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e", "d"]), ANY),
)
def test_whatever_an_issuer_publishes_is_read_or_passed_over(signing: Signing, changes: dict[str, Any]) -> None:
    keys = key_set(signing.jwk(**changes))
    assert len(keys.keys) + keys.passed_over == 1
    token = Token(signing.token(CLAIMS), signing.header(), CLAIMS)
    for key in keys.keys:
        if signing.algorithm not in key.algorithms:
            continue
        try:
            verify(token, key)
        except InvalidTokenException:
            assert {"x", "y", "n", "e"} & changes.keys()
