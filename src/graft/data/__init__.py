"""Rows from files to checked, dealt-out splits, and what the training rows give away of the rest.

Entry points: `loading.load_dataset` and `leakage.leakage_report`. Needs pandas, pyarrow, scipy
and scikit-learn; imports `graft.core` and `graft.config`, never torch.
"""
