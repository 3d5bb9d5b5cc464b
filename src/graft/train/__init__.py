"""The one loop: phases, schedules, exact accumulation, checkpoints, ledger, exact resume.

Entry points: `planning.resolve_plan`, `loop.train`. Sees a task only through the protocol.
"""
