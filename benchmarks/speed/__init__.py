"""Graft against its peers on the same rows: seconds, peak memory and quality.

Entry points: `python -m speed.run` (the table), `python -m speed.profile` (where a step's time
goes). Every measurement is a process of its own (`speed.child`), so that its memory is that of the
work alone and no side warms the other.
"""
