"""The command line `graft`: one file a verb; a verb reads its options, calls, and shows.

Entry point: `main.app`. Whatever is heavy is imported inside the command, so that `graft --help`
answers at once, without torch.
"""
