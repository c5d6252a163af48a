"""The programs of our image: those beside a user's container, and the actions that it runs.

Each is one process with one task, told what to do by environment variables, and understood by its
exit code and its termination message alone. They know nothing of Kubernetes.
"""
