"""Seeded generators of reference data, each with its truth written down.

Needs numpy and pandas; imports `graft.core` only.
"""
