"""Makes `sealed_values.json` and `wrapped.json`, from the written layouts and without any code of pdms.

Run it to write the files anew; `test_crypto_vectors.py` fails when they differ from what this prints. Every negative
case names the error that must come out: "does not open" alone would also be satisfied by a broken reader.
"""

import json
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = Path(__file__).parent
MEMBER = bytes(range(16))
OTHER_MEMBER = bytes(range(1, 17))
KEYS = {1: bytes(range(32)), 2: bytes(range(16))}
NONCE = bytes.fromhex("cafebabefacedbaddecaf888")


def encrypt(code: int, key: bytes, nonce: bytes, data: bytes, bound: bytes) -> bytes:
    if code == 1:
        return AESGCM(key).encrypt(nonce, data, bound)
    context = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    context.authenticate_additional_data(bound)
    return context.update(data) + context.finalize() + context.tag


def keyed(code: int, key: bytes, message: bytes) -> bytes:
    context = hmac.HMAC(key, {1: hashes.SHA256, 2: hashes.SM3}[code]())
    context.update(message)
    return context.finalize()


def hkdf(code: int, material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, from its text; one block is enough for every length used here."""
    extracted = keyed(code, salt or bytes(32), material)
    return keyed(code, extracted, info + b"\x01")[:length]


def seal(code: int, field: bytes, plaintext: bytes, *, key_version: int = 1, write_seq: int = 1) -> bytes:
    header = struct.pack(">BBIQ", 1, code, key_version, write_seq)
    padded = plaintext + b"\x80" + bytes(15 - len(plaintext) % 16)
    return header + NONCE + encrypt(code, KEYS[code], NONCE, padded, header + MEMBER + field)


def sealed_values() -> list[dict[str, object]]:
    cases: list[dict[str, object]] = []

    def case(
        name: str, sealed: bytes, *, code: int = 1, error: str | None = None, plaintext: bytes = b"", **asked: object
    ):
        cases.append(
            {
                "name": name,
                "dek": KEYS[code].hex(),
                "member": MEMBER.hex(),
                "field": "phone",
                "key_version": 1,
                "write_seq": 1,
                "sealed": sealed.hex(),
                "plaintext": None if error else plaintext.hex(),
                "error": error,
            }
            | asked
        )

    phone = b"+8613800138000"
    for code, suite in ((1, "aes-256-gcm"), (2, "sm4-gcm")):
        good = seal(code, b"phone", phone)
        case(f"{suite}: opens", good, code=code, plaintext=phone)
        case(f"{suite}: empty value", seal(code, b"phone", b""), code=code)
        case(f"{suite}: a whole block", seal(code, b"phone", b"x" * 16), code=code, plaintext=b"x" * 16)
        case(
            f"{suite}: value that ends in padding",
            seal(code, b"phone", b"a\x80\0\0"),
            code=code,
            plaintext=b"a\x80\0\0",
        )
        case(
            f"{suite}: Chinese name",
            seal(code, b"name", "欧阳娜娜".encode()),
            code=code,
            plaintext="欧阳娜娜".encode(),
            field="name",
        )
        late = seal(code, b"phone", phone, key_version=0xFFFFFFFF, write_seq=0xFFFFFFFFFFFFFFFF)
        case(
            f"{suite}: greatest numbers",
            late,
            code=code,
            plaintext=phone,
            key_version=0xFFFFFFFF,
            write_seq=0xFFFFFFFFFFFFFFFF,
        )
        case(f"{suite}: swapped member", good, code=code, error="NOT_AUTHENTIC", member=OTHER_MEMBER.hex())
        case(f"{suite}: swapped field", good, code=code, error="NOT_AUTHENTIC", field="email")
        case(f"{suite}: field cut short", good, code=code, error="NOT_AUTHENTIC", field="phon")
        case(
            f"{suite}: other key of the right length",
            good,
            code=code,
            error="NOT_AUTHENTIC",
            dek=bytes(len(KEYS[code])).hex(),
        )
        case(f"{suite}: older write", good, code=code, error="WRONG_WRITE_SEQUENCE", write_seq=2)
        case(f"{suite}: newer write", seal(code, b"phone", phone, write_seq=2), code=code, error="WRONG_WRITE_SEQUENCE")
        case(f"{suite}: other key version", good, code=code, error="WRONG_KEY_VERSION", key_version=2)
        case(f"{suite}: key of the other suite", good, code=code, error="WRONG_KEY_LENGTH", dek=KEYS[3 - code].hex())
        case(
            f"{suite}: suite byte changed",
            good[:1] + bytes((3 - code,)) + good[2:],
            code=code,
            error="WRONG_KEY_LENGTH",
        )
        case(
            f"{suite}: write sequence forged",
            good[:13] + b"\x02" + good[14:],
            code=code,
            error="NOT_AUTHENTIC",
            write_seq=2,
        )
        case(
            f"{suite}: key version forged",
            good[:5] + b"\x02" + good[6:],
            code=code,
            error="NOT_AUTHENTIC",
            key_version=2,
        )
        for name, at in (("nonce", 14), ("ciphertext", 26), ("tag", len(good) - 1)):
            flipped = bytearray(good)
            flipped[at] ^= 1
            case(f"{suite}: flipped bit in the {name}", bytes(flipped), code=code, error="NOT_AUTHENTIC")
        longer = seal(code, b"phone", b"x" * 40)
        case(f"{suite}: last block removed", longer[:-32] + longer[-16:], code=code, error="NOT_AUTHENTIC")
        case(f"{suite}: byte appended", good + b"\0", code=code, error="NOT_AUTHENTIC")
    good = seal(1, b"phone", phone)
    case("nothing", b"", error="TRUNCATED")
    case("header alone", good[:14], error="TRUNCATED")
    case("one byte short of the least length", good[:57], error="TRUNCATED")
    case("layout version 0", b"\0" + good[1:], error="UNKNOWN_VERSION")
    case("layout version 2", b"\x02" + good[1:], error="UNKNOWN_VERSION")
    case("suite 0", good[:1] + b"\0" + good[2:], error="UNKNOWN_SUITE")
    case("suite 255", good[:1] + b"\xff" + good[2:], error="UNKNOWN_SUITE")
    return cases


def wrapped() -> dict[str, list[dict[str, object]]]:
    material = bytes(range(100, 132))
    dek = bytes(range(50, 82))
    keys: list[dict[str, object]] = []
    blobs: list[dict[str, object]] = []
    for code, suite, size in ((1, "aes-256-gcm", 32), (2, "sm4-gcm", 16)):
        header = bytes((1, code))
        context = MEMBER + struct.pack(">II", 1, 1)
        subkey = hkdf(code, material, b"", b"pdms/v1/wrap:member\0" + header[1:], size)
        good = header + NONCE + encrypt(code, subkey, NONCE, dek, header + context)
        base = {"material": material.hex(), "label": "wrap:member", "context": context.hex(), "wrapped": good.hex()}
        keys += [
            base | {"name": f"{suite}: opens", "key": dek.hex(), "error": None},
            base
            | {
                "name": f"{suite}: other member",
                "context": (OTHER_MEMBER + context[16:]).hex(),
                "error": "NOT_AUTHENTIC",
            },
            base
            | {
                "name": f"{suite}: other epoch",
                "context": (MEMBER + struct.pack(">II", 1, 2)).hex(),
                "error": "NOT_AUTHENTIC",
            },
            base | {"name": f"{suite}: other use", "label": "wrap:system", "error": "NOT_AUTHENTIC"},
            base | {"name": f"{suite}: cut", "wrapped": good[:45].hex()[:-4], "error": "TRUNCATED"},
            base
            | {"name": f"{suite}: unknown suite", "wrapped": (b"\x01\x09" + good[2:]).hex(), "error": "UNKNOWN_SUITE"},
            base
            | {"name": f"{suite}: unknown version", "wrapped": (b"\x07" + good[1:]).hex(), "error": "UNKNOWN_VERSION"},
            base
            | {
                "name": f"{suite}: suite byte changed",
                "wrapped": (bytes((1, 3 - code)) + good[2:]).hex(),
                "error": "NOT_AUTHENTIC",
            },
        ]
        head = header + bytes(range(16))
        blob_key = hkdf(code, material, head[2:], b"pdms/v1/envelope\0", size)
        sealed = head + encrypt(code, blob_key, bytes(12), b"package", head + b"req-1")
        blob = {"material": material.hex(), "context": b"req-1".hex(), "sealed": sealed.hex()}
        flipped = sealed[:10] + bytes((sealed[10] ^ 1,)) + sealed[11:]
        blobs += [
            blob | {"name": f"{suite}: opens", "plaintext": b"package".hex(), "error": None},
            blob | {"name": f"{suite}: other context", "context": b"req-2".hex(), "error": "NOT_AUTHENTIC"},
            blob | {"name": f"{suite}: other key", "material": material[::-1].hex(), "error": "NOT_AUTHENTIC"},
            blob | {"name": f"{suite}: flipped bit in the salt", "sealed": flipped.hex(), "error": "NOT_AUTHENTIC"},
            blob | {"name": f"{suite}: cut", "sealed": sealed[:33].hex(), "error": "TRUNCATED"},
            blob
            | {"name": f"{suite}: unknown version", "sealed": (b"\0" + sealed[1:]).hex(), "error": "UNKNOWN_VERSION"},
            blob
            | {"name": f"{suite}: unknown suite", "sealed": (b"\x01\0" + sealed[2:]).hex(), "error": "UNKNOWN_SUITE"},
        ]
    return {"keys": keys, "blobs": blobs}


def texts() -> dict[str, str]:
    """File names and what stands in them."""
    return {
        name: json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        for name, content in (("sealed_values.json", sealed_values()), ("wrapped.json", wrapped()))
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (HERE / name).write_text(text, "utf-8")
        sys.stdout.write(f"wrote {name}\n")
