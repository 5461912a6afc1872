"""pdms: identities in a vault, every use through one gate, anonymised views for marketing, evidence for all."""

__version__ = "0.1.0"
