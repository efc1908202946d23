"""Scripts that run a peer in its own environment; they import nothing of fcray."""
