"""Scoring adapters on examples: the evaluator without Ray, and the actor pool that spreads it."""
