"""A cluster and its images on any machine, with nothing but Python's standard library."""
