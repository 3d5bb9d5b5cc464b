"""Base models: found, loaded with the origin of every tensor, adapted, frozen, saved.

Entry points: `locate.locate_base`, `encoder.load_encoder`, `adapters`, `freeze.assign_groups`.
Needs torch, transformers, sentence-transformers and peft; imports nothing of Graft but `core`
and `config`.
"""
