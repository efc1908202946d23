"""Tool catalogs to verified examples: load, synthesize, split, verify, build.

Knows nothing of models or prompts.
"""
