"""C2SP tlog-checkpoint: the log's name, its size and its root, as the text of a signed note.

Guarantee: the parser (`verifier`'s, in the error families of pdms) accepts exactly what the writer writes, so that two
different texts are never the same checkpoint. Whether the root is right is judged by `merkle` and the verifiers.
"""

from pdms.audit import verifier
from pdms.audit.families import in_families
from pdms.audit.note import NamedSigner, sign_note
from pdms.audit.verifier import Checkpoint, SignedCheckpoint

__all__ = ["Checkpoint", "SignedCheckpoint", "parse_checkpoint", "parse_signed_checkpoint", "sign_checkpoint"]

parse_checkpoint = in_families()(verifier.parse_checkpoint)
parse_signed_checkpoint = in_families()(verifier.parse_signed_checkpoint)


def sign_checkpoint(checkpoint: Checkpoint, signer: NamedSigner) -> SignedCheckpoint:
    """Return `checkpoint` signed by the log's key."""
    return SignedCheckpoint(checkpoint, sign_note(checkpoint.text(), signer))
