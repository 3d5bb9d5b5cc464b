"""Callbacks that audit the trainings of other trainers, one line in foreign code.

Entry points: `transformers.GraftCallback` (also for Sentence-Transformers and TRL) and
`lightning.GraftCallback`. Both are thin: what they share is in `recording`.
"""
