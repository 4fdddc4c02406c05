"""Signatures, held against the reference implementation and against ed25519 itself."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from services.domain.signing import asymmetric_secret, check_secret, public_key, sign, symmetric_secret

KEYS = st.binary(min_size=24, max_size=64)
SEEDS = st.binary(min_size=32, max_size=32)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
TIMESTAMPS = st.integers(min_value=0, max_value=4_000_000_000)


def verify(public: str, header: str, content: bytes) -> None:
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
    key.verify(b64decode(header.removeprefix("v1a,")), content)


@given(KEYS, TEXTS, TIMESTAMPS, TEXTS)
def test_a_symmetric_signature_is_that_of_the_reference_implementation(
    key: bytes, message_id: str, timestamp: int, body: str
) -> None:
    secret = symmetric_secret(key)
    expected = Webhook(secret).sign(message_id, datetime.fromtimestamp(timestamp, UTC), body)
    assert sign([secret], message_id, timestamp, body.encode()) == expected


@given(KEYS, st.binary())
def test_a_body_of_any_bytes_is_signed_as_it_is(key: bytes, body: bytes) -> None:
    expected = b64encode(hmac.new(key, b"id.1." + body, hashlib.sha256).digest()).decode()
    assert sign([symmetric_secret(key)], "id", 1, body) == f"v1,{expected}"


@given(SEEDS, TEXTS, TIMESTAMPS, st.binary())
def test_an_asymmetric_signature_verifies_with_the_public_key(
    seed: bytes, message_id: str, timestamp: int, body: bytes
) -> None:
    secret = asymmetric_secret(seed)
    header = sign([secret], message_id, timestamp, body)
    verify(public_key(secret), header, f"{message_id}.{timestamp}.".encode() + body)


def test_the_published_example_gives_the_published_signature() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    header = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert header == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_as_libsodium_writes_it_signs_like_its_seed() -> None:
    seed = bytes(range(32))
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    long = "whsk_" + b64encode(seed + public).decode()
    assert sign([long], "id", 1, b"{}") == sign([asymmetric_secret(seed)], "id", 1, b"{}")
    assert public_key(long) == public_key(asymmetric_secret(seed)) == "whpk_" + b64encode(public).decode()


def test_while_a_secret_rotates_either_one_verifies() -> None:
    new, old = symmetric_secret(b"n" * 24), symmetric_secret(b"o" * 32)
    now = datetime.now(UTC)
    header = sign([new, old], "msg", int(now.timestamp()), b"{}")
    headers = {
        "webhook-id": "msg",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": header,
    }
    assert len(header.split(" ")) == 2
    for secret in (new, old):
        assert Webhook(secret).verify(b"{}", headers) == {}


def test_signatures_stand_in_the_order_of_the_secrets_whatever_their_kind() -> None:
    one, two = symmetric_secret(b"s" * 24), asymmetric_secret(b"a" * 32)
    first, second = sign([one, two], "id", 7, b"x").split(" ")
    assert first == sign([one], "id", 7, b"x")
    assert second == sign([two], "id", 7, b"x")


def test_a_secret_without_its_padding_is_read_all_the_same() -> None:
    secret = symmetric_secret(b"p" * 25)
    assert sign([secret.rstrip("=")], "id", 1, b"") == sign([secret], "id", 1, b"")


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_symmetric_secret_has_24_to_64_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        symmetric_secret(bytes(size))
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        check_secret("whsec_" + b64encode(bytes(size)).decode())


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        asymmetric_secret(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_***********************************",
        "whsec_é" + "A" * 40,
        "whsk_" + b64encode(bytes(31)).decode(),
        "whsk_" + b64encode(bytes(64)).decode(),
        public_key(asymmetric_secret(bytes(32))),
        "a password of somebody",
    ],
)
def test_a_bad_secret_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|whsk_") as caught:
        check_secret(text)
    shown = str(caught.value)
    for prefix in ("whsec_", "whsk_"):
        text = text.removeprefix(prefix)
    assert not text or text not in shown
    with pytest.raises(ValueError, match=r"whsec_|whsk_"):
        sign([text], "id", 1, b"")


def test_good_secrets_pass() -> None:
    check_secret(symmetric_secret(b"x" * 24))
    check_secret(asymmetric_secret(b"x" * 32))


def test_nothing_is_signed_without_a_secret() -> None:
    with pytest.raises(ValueError, match="no secret"):
        sign([], "id", 1, b"{}")


def test_only_an_asymmetric_secret_has_a_public_key() -> None:
    with pytest.raises(ValueError, match="whsk_"):
        public_key(symmetric_secret(b"x" * 24))
