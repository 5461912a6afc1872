"""The one gate: consent, policy and member state in, an audited Permit or a denial with reasons out."""
