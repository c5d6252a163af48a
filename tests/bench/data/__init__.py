"""How fast data gets into object storage and out again, beside other programs and the limits.

    python -m tests.bench.data [--quick] [--only large,small,mixed,million] [--write]

One SeaweedFS, one disk, one run; every client is a process of its own. Ours checks every digest in
both directions and makes an immutable version; the others copy.
"""
