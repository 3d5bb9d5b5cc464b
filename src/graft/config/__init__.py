"""The recipe: one YAML file, parsed once, frozen, with the origin of every value.

Entry point: `graft.config.loading.load_recipe`. Needs pydantic and yaml; never torch.
"""
