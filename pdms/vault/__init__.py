"""Sealed members. Plaintext comes out by a Permit only; everything else reads states, masks and random ids."""
