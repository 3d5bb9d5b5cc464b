"""The kinds of task; the only place where data, models and metrics meet.

Entry points: the `Task` protocol in `protocol`, `registry.task_of`.
"""
