"""One HTTP service for texts and recommendations, and the check of a server that others run."""
