"""Orchestration: recipe → data → baselines → arms → artefacts → audits → comparison → report.

Entry points: `pipeline.run`, and one function a stage in `stages`. Each stage reads the files of
the stage before it, so any of them can be run again alone. The only folder that imports MLflow.
"""
