"""A job becomes a Pod: pure functions from resolved data to the manifest that is created.

The shape is that of `docs/architecture.md`: the user's container `main` alone, with `fetch` before
it when there are versions to bring in and `uploader` beside it when there is something to keep.
"""
