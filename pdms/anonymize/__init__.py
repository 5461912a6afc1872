"""Anonymisation core: from a frequency table of distinct quasi-identifier tuples to classes fit for release.

Pure: no database, no clock, no files; text of hierarchies is handed in. It never sees an id. Numba and pandas load
only when `anonymize` or `measure` runs.

    age = from_edges("age_band", [14, 18, 25, 35, 45, 60], open_low=True, style="integer", missing="unknown")
    city = from_arx("city_tier", text_of_csv)                      # ARX's form: leaf;...;*
    codes = np.stack([age.encode_numbers(ages), city.encode(tiers)], axis=1)      # int32 [rows, attributes]
    table, tuple_of_row = tabulate(codes, counts=how_many_each_row_stands_for)    # counts optional
    result = anonymize(table, [age, city], Criteria(k=10, max_risk=0.10), suppression_limit=0.02)
    result.rows([age, city])     # {"age_band": [...], "city_tier": [...]}, one row a member, in class order
    result.class_of[tuple_of_row]                                  # class of each input row, -1 = suppressed
    result.loss.ncp, result.risk.prosecutor_max, result.suppressed
    measure(published_table).k                                     # independent re-check on the labels alone

Errors: InvalidInput (hierarchy does not cover, numbers that make no criterion), Conflict code SUPPRESSION_LIMIT.
"""

from pdms.anonymize.check import Measured, measure
from pdms.anonymize.criteria import Closeness, Criteria, Distance, Diversity, DiversityKind, Method, Presence
from pdms.anonymize.frequency import FrequencyTable, tabulate
from pdms.anonymize.hierarchies import ROOT, Hierarchy, flat, from_arx, from_edges, from_rows
from pdms.anonymize.loss import Loss
from pdms.anonymize.release import Anonymized, anonymize
from pdms.anonymize.risk import Risk

__all__ = [
    "ROOT",
    "Anonymized",
    "Closeness",
    "Criteria",
    "Distance",
    "Diversity",
    "DiversityKind",
    "FrequencyTable",
    "Hierarchy",
    "Loss",
    "Measured",
    "Method",
    "Presence",
    "Risk",
    "anonymize",
    "flat",
    "from_arx",
    "from_edges",
    "from_rows",
    "measure",
    "tabulate",
]
