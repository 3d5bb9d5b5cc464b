"""Errors, frozen result types, atomic folders and seeds: what every other folder stands on.

Needs the standard library and numpy only; imports nothing else of Graft.
"""
