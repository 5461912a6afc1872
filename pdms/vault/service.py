"""The vault's operations, in one place. Each takes a unit of work first; none commits.

The shred steps are `suppress`, `destroy_key`, `forget`, `purge`, in this order, committed one by one.
"""

from pdms.vault.comparing import Comparison, Standing, compare_batch, standing
from pdms.vault.decoys import alarm, decoys, mark_decoys
from pdms.vault.index_rotation import index_labels, members_after, members_between, reindex_some
from pdms.vault.opening import Corrected, correct, masked, matches, reveal, settle_ages
from pdms.vault.reading import (
    MemberKeys,
    MemberState,
    StateRow,
    count,
    count_of,
    find,
    find_external,
    known_words,
    members_of,
    pseudonym_of,
    pseudonyms_of,
    resolve,
    state,
    state_changes,
    state_rows,
)
from pdms.vault.reindexing import Reindexed, reindex
from pdms.vault.reseal import reseal
from pdms.vault.searching import search
from pdms.vault.shredding import destroy_key, disable, forget, purge, suppress, suppress_keyless, suppressed_since
from pdms.vault.suppressions import count as suppression_entries
from pdms.vault.suppressions import nest_some as nest_suppressions
from pdms.vault.suppressions import shallow as shallow_suppressions
from pdms.vault.upsert import MemberBatch, MemberRow, Outcome, UpsertResult, upsert_batch, upsert_members

__all__ = [
    "Comparison",
    "Corrected",
    "MemberBatch",
    "MemberKeys",
    "MemberRow",
    "MemberState",
    "Outcome",
    "Reindexed",
    "Standing",
    "StateRow",
    "UpsertResult",
    "alarm",
    "compare_batch",
    "correct",
    "count",
    "count_of",
    "decoys",
    "destroy_key",
    "disable",
    "find",
    "find_external",
    "forget",
    "index_labels",
    "known_words",
    "mark_decoys",
    "masked",
    "matches",
    "members_after",
    "members_between",
    "members_of",
    "nest_suppressions",
    "pseudonym_of",
    "pseudonyms_of",
    "purge",
    "reindex",
    "reindex_some",
    "reseal",
    "resolve",
    "reveal",
    "search",
    "settle_ages",
    "shallow_suppressions",
    "standing",
    "state",
    "state_changes",
    "state_rows",
    "suppress",
    "suppress_keyless",
    "suppressed_since",
    "suppression_entries",
    "upsert_batch",
    "upsert_members",
]
