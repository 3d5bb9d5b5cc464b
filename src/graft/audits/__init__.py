"""The checks of a finished run: what it really did, against what was asked of it.

Entry points: `evidence.read_evidence`, `contract.run_checks`, `registry.ARM_CHECKS` and
`registry.DATA_CHECKS`. Every check reads files of the run folder and answers with a
`graft.core.findings.Finding`; none sees the trainer. One family of checks a file.
"""
