"""The Spaces: the page, and the metric."""
