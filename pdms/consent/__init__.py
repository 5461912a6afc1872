"""Notices, consent records and restrictions: append-only evidence of what members were told, agreed to and refused."""
