"""Saved files of a training to one HTML page, and one model card per arm.

Entry points: `page.write_report` for an experiment, `training_page.write_training_report` for a
training that another trainer ran, and `card.write_card`. Needs jinja2, pandas and plotly's script;
imports only `graft.core` and `graft.metrics`, never torch, so that it runs on any machine.
"""
