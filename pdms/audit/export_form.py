"""The lines of an export, as both the writer and the offline verifier make them.

Guarantee: every byte is covered. Each line ends with a checksum of itself, which tells *where* a byte changed; leaf
digests, checkpoints and their signatures tell *that* something did, also of those who mend the checksums; the last line
holds the digest of all before it. Pure: the verifier needs no database.

    {"format":"pdms-audit-export/1","key":VKEY,"leaves":N,"checkpoints":M,"unsequenced":U,"line":C}
    {"leaf":0,"digest":HEX,"salt":HEX,"event":{...},"line":C}      opening alive
    {"leaf":1,"digest":HEX,"line":C}                               opening shredded
    {"checkpoint":NOTE,"line":C}                                   after the last leaf it speaks for
    {"end":K,"sha256":HEX}                                         K lines before this one, and their digest
"""

import json
from hashlib import sha256

FORMAT = "pdms-audit-export/1"
CHECK_DIGITS = 16


def checked_line(content: bytes) -> bytes:
    """Return a line: an open JSON object, its checksum, the closing brace and the newline."""
    return content + b',"line":"' + sha256(content).hexdigest()[:CHECK_DIGITS].encode() + b'"}\n'


def end_line(lines: int, digest: str) -> bytes:
    """Return the last line."""
    return f'{{"end":{lines},"sha256":"{digest}"}}\n'.encode()


def leaf_content(index: int, digest: bytes, salt: bytes | None, body: bytes | None) -> bytes:
    """Return a leaf's line without its checksum."""
    start = f'{{"leaf":{index},"digest":"{digest.hex()}"'.encode()
    if salt is None or body is None:
        return start
    return start + b',"salt":"' + salt.hex().encode() + b'","event":' + body


def checkpoint_content(note: str) -> bytes:
    """Return a checkpoint's line without its checksum."""
    return b'{"checkpoint":' + json.dumps(note).encode()
