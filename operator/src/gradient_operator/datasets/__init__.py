"""Datasets as immutable, content-addressed versions in object storage.

This package turns a directory into a version (`snapshot`), a version into a directory (`restore`)
and describes what an upload produced (`result`). It is what the helper containers run and what the
command line uses for `gradient dataset get` and `put`.

It knows object storage and file systems. It knows nothing of Kubernetes: names, tags and "latest"
are the operator's affair, and correctness here never rests on conditional writes of the storage.
"""
