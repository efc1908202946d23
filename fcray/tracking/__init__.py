"""What is kept of a run for people to read: its record, its HTML page, its W&B runs."""
