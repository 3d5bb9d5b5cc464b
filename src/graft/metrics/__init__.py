"""Metrics with their meaning, and the statistics that say how sure a number is.

Entry points: `pairs.PAIR_MEASURES`, `catalogue.metric`, `resampling.paired_bootstrap`.
Needs numpy, scipy and scikit-learn; imports `graft.core` only, never torch.
"""
