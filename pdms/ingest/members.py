"""Kind `members`: rows become sealed members and coarse attributes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pdms.clock import SHANGHAI
from pdms.consent import service as consent
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.ingest.derive import ADDRESS, GENDER, Attributes, Deriver
from pdms.ingest.kind import Stored, column_name, no_repeats
from pdms.ingest.mapping import FIELD, KEY_MEMBER, Batch
from pdms.ingest.readers import Rejected, pick
from pdms.ingest.seen import KeysSeen
from pdms.policy.definitions import Source
from pdms.taxonomy import Pseudonym, new_id
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault
from pdms.vault.age import BIRTH_DATE, ID_NUMBER
from pdms.vault.service import Outcome

if TYPE_CHECKING:
    import pyarrow as pa

REFUSED = {Outcome.SUPPRESSED: "SUPPRESSED", Outcome.DISABLED: "MEMBER_DISABLED"}
_TOLD = (BIRTH_DATE, ID_NUMBER, GENDER, ADDRESS)


class Members:
    """Stores members; knows the keys that the file has shown."""

    tables: ClassVar[tuple[FactTable, ...]] = (FactTable.SUBJECT_ATTRIBUTES,)

    def __init__(self, source: Source, load_id: str) -> None:
        self._source, self._load_id = source, load_id
        self._seen = KeysSeen()
        self._deriver: Deriver | None = None

    def store(self, uow: UnitOfWork, batch: Batch, *, write: bool) -> Stored:
        """Store one batch."""
        batch = no_repeats(batch, self._seen, batch.values[KEY_MEMBER], self._source, KEY_MEMBER)
        if not write:
            return Stored()
        columns = {t.removeprefix(FIELD): column for t, column in batch.values.items() if t.startswith(FIELD)}
        registered: Sequence[Any] | None = batch.values.get("registered_at")
        result = vault.upsert_batch(
            uow, vault.MemberBatch(batch.values[KEY_MEMBER], columns, registered), system=self._source.system
        )
        rejected = list(batch.rejected)
        if any(outcome in REFUSED for outcome in result.outcomes):
            name = column_name(self._source, KEY_MEMBER)
            for number, outcome in zip(batch.numbers, result.outcomes, strict=True):
                if outcome in REFUSED:
                    rejected.append(Rejected(number, name, REFUSED[outcome]))
        created = [at for at, outcome in enumerate(result.outcomes) if outcome is Outcome.CREATED]
        if self._source.notice and created:
            consent.deliver_notices(
                uow,
                [one for one in pick(result.member_ids, created) if one is not None],
                notice=self._source.notice,
                language=self._source.notice_language,
                channel="registration",
                evidence=f"load-{self._load_id.partition('-')[0]}",
            )
        self._attributes(uow, batch, columns, registered, result, created)
        return Stored(
            created=len(created),
            updated=result.updated,
            unchanged=result.unchanged,
            accepted=len(created) + result.updated + result.unchanged,
            rejected=rejected,
        )

    def finish(self, uow: UnitOfWork, batch: int) -> None:
        """Nothing is left over."""

    def _attributes(
        self,
        uow: UnitOfWork,
        batch: Batch,
        columns: Mapping[str, Sequence[str]],
        registered: Sequence[Any] | None,
        result: vault.UpsertResult,
        created: Sequence[int],
    ) -> None:
        if self._deriver is None:
            self._deriver = Deriver(uow.policy, today=uow.now.astimezone(SHANGHAI).date())
        derive = self._deriver.derive
        empty = [""] * len(batch)
        births, numbers, genders, addresses = [columns.get(name, empty) for name in _TOLD]
        months = registered or [None] * len(batch)
        rows = [derive(births[at], numbers[at], genders[at], addresses[at], months[at]) for at in created]
        rows += [self._deriver.attributes(fields) for fields in result.merged.values()]
        tokens = [result.pseudonyms[at] for at in (*created, *result.merged)]
        if rows:
            facts.append(
                uow,
                FactTable.SUBJECT_ATTRIBUTES,
                attribute_table(uow, [one for one in tokens if one is not None], rows),
                load_id=self._load_id,
                batch=batch.number,
            )


def attribute_table(uow: UnitOfWork, pseudonyms: Sequence[Pseudonym], rows: Sequence[Attributes]) -> "pa.Table":
    """Return rows of `subject_attributes`."""
    import pyarrow as pa

    count = len(rows)
    columns = list(zip(*rows, strict=True))
    texts = [pa.array(column, pa.string()) for column in columns[:4]]
    return pa.table(
        [
            pa.array(pseudonyms, pa.binary(16)),
            *texts,
            pa.array(columns[4], pa.date32()),
            pa.repeat(pa.scalar(uow.now, pa.timestamp("us", tz="UTC")), count),
        ],
        names=["pseudonym", "age_band", "gender", "prefecture", "city_tier", "registered_on", "updated_at"],
    )


def rewrite_attributes(uow: UnitOfWork, pseudonym: Pseudonym, fields: Mapping[str, str]) -> None:
    """Bring the attributes of one subject along after a correction. :param fields: all normalised fields, as they are.

    Facts commit on their own, at once: call it after the correction, in the same unit.
    """
    deriver = Deriver(uow.policy, today=uow.now.astimezone(SHANGHAI).date())
    table = attribute_table(uow, [pseudonym], [deriver.attributes(fields)])
    facts.append(uow, FactTable.SUBJECT_ATTRIBUTES, table, load_id=new_id("correction"), batch=0)
