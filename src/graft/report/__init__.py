"""Saved files of an experiment to one HTML page and one model card per arm.

Entry points: `page.write_report` and `card.write_card`. Needs jinja2, pandas and plotly's script;
imports only `graft.core` and `graft.metrics`, never torch, so that it runs on any machine.
"""
