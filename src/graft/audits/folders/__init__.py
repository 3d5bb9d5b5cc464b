"""The diagnosis of a tuned model from its folder and that of its base, however it was trained.

Entry point: `diagnosis.diagnose`.
"""
