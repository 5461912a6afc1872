"""Finding personal data in columns and free text, in Chinese and English, without a model and without a network.

Importing this package is light; Presidio is loaded by `recognizers` at the first use of `redact`, `columns` or `scan`.
"""
