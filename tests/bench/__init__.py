"""`python -m tests.bench`: how fast the operator is, next to what the same cluster can do at all.

Every load is run by the real operator process and by a bare client that only creates the same Pods
on the same API server, in turns. Machines differ and are shared; the ratio of the two travels.
"""
