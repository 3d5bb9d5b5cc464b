"""Predictions row by row, scores with intervals, baselines and paired comparison.

Entry points: `predictions`, `scoring.score_book`, `comparison.compare`, `fresh` (the second
process that loads every artefact from disk). Never imports `graft.train`.
"""
