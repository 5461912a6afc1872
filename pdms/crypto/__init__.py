"""All cryptography of pdms: suites, sealing, blind indexes, key derivation, wrapping, signing, roots.

Pure but for the roots, which read files and the environment; no database. No other package imports `cryptography`.
"""

from pdms.crypto.blind_index import BlindIndex
from pdms.crypto.digest import packed_set_digest, same_bytes, set_digest
from pdms.crypto.envelope import open_blob, seal_blob
from pdms.crypto.horizon import EpochState, Horizon, HorizonKind, RotationPlan, horizon_in, horizon_of
from pdms.crypto.horizon import said as horizon_said
from pdms.crypto.kdf import derive
from pdms.crypto.root_key import (
    ARGON2_RFC9106_FIRST,
    ARGON2_RFC9106_SECOND,
    ARGON2_TESTS_ONLY,
    Argon2Cost,
    RootKey,
    RootProvider,
    in_suite,
)
from pdms.crypto.roots import (
    RootsOf,
    create_root,
    destroy_root,
    has_horizon,
    new_passphrase,
    new_root_text,
    open_root,
    provider_of,
    successor_uri,
)
from pdms.crypto.seal import SealedValue, SealError, open_field, open_fields, seal_fields
from pdms.crypto.seal_rows import RowForm, seal_rows
from pdms.crypto.secret import Dek, KeyBytes, Unprintable, new_key
from pdms.crypto.sign import Signer, Verifier, note_key_id
from pdms.crypto.stream import SealedReader, SealedWriter, read_note
from pdms.crypto.suited import SuitedKey, sealing_suite, suited, with_suite
from pdms.crypto.suites import DEFAULT_SUITE, Suite, SuiteName, suite_of, suite_of_key
from pdms.crypto.wrap import KeyWrapper

__all__ = [
    "ARGON2_RFC9106_FIRST",
    "ARGON2_RFC9106_SECOND",
    "ARGON2_TESTS_ONLY",
    "DEFAULT_SUITE",
    "Argon2Cost",
    "BlindIndex",
    "Dek",
    "EpochState",
    "Horizon",
    "HorizonKind",
    "KeyBytes",
    "KeyWrapper",
    "RootKey",
    "RootProvider",
    "RootsOf",
    "RotationPlan",
    "RowForm",
    "SealError",
    "SealedReader",
    "SealedValue",
    "SealedWriter",
    "Signer",
    "Suite",
    "SuiteName",
    "SuitedKey",
    "Unprintable",
    "Verifier",
    "create_root",
    "derive",
    "destroy_root",
    "has_horizon",
    "horizon_in",
    "horizon_of",
    "horizon_said",
    "in_suite",
    "new_key",
    "new_passphrase",
    "new_root_text",
    "note_key_id",
    "open_blob",
    "open_field",
    "open_fields",
    "open_root",
    "packed_set_digest",
    "provider_of",
    "read_note",
    "same_bytes",
    "seal_blob",
    "seal_fields",
    "seal_rows",
    "sealing_suite",
    "set_digest",
    "successor_uri",
    "suite_of",
    "suite_of_key",
    "suited",
    "with_suite",
]
