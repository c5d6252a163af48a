"""The command line `gradient`, also `kubectl gradient`.

Every command is one module that imports at its top only what its options need: the rest (the API's
models, the client, rich) comes when the command runs, so that `--help` and `manifest` answer at
once. What a command prints is made by `output` from plain data; what it asks of the cluster goes
through `cluster`.
"""
