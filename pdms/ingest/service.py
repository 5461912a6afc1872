"""Loading files: the operations."""

from pdms.ingest.cutover import CutOver, cut_over
from pdms.ingest.load import BATCH_ROWS, IngestReport, Progress, ingest, ingest_table
from pdms.ingest.members import rewrite_attributes
from pdms.ingest.progress import LoadInfo, LoadTotals, loads, rejected, rules_of
from pdms.ingest.readers import Rejected, sample
from pdms.ingest.verify import ACCURACY, Verification, verify_table

__all__ = [
    "ACCURACY",
    "BATCH_ROWS",
    "CutOver",
    "IngestReport",
    "LoadInfo",
    "LoadTotals",
    "Progress",
    "Rejected",
    "Verification",
    "cut_over",
    "ingest",
    "ingest_table",
    "loads",
    "rejected",
    "rewrite_attributes",
    "rules_of",
    "sample",
    "verify_table",
]
