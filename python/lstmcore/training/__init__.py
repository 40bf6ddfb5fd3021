"""How a model is trained: compile, steps, the loop of fit, what it reports, and where batches come from."""
