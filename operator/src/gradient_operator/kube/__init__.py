"""Everything that speaks with the Kubernetes API: client, reflector, queue, elector, recorder.

The modules here move plain dicts and keys. They know no kind's meaning: what a run or a job is
stands in `api`, `engine` and `controllers`.
"""
