"""Loading files: the operations."""

from pdms.ingest.load import BATCH_ROWS, IngestReport, Progress, ingest, ingest_table
from pdms.ingest.members import rewrite_attributes
from pdms.ingest.progress import LoadInfo, LoadTotals, loads, rejected, rules_of
from pdms.ingest.readers import Rejected, sample

__all__ = [
    "BATCH_ROWS",
    "IngestReport",
    "LoadInfo",
    "LoadTotals",
    "Progress",
    "Rejected",
    "ingest",
    "ingest_table",
    "loads",
    "rejected",
    "rewrite_attributes",
    "rules_of",
    "sample",
]
