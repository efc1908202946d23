"""The sweep on Ray: search space, search, scheduler, trials, workers, and the run that joins them."""
