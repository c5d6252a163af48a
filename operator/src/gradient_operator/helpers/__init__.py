"""The programs that run beside a user's container: fetch, upload, wait-ready, git-checkout.

Each is one process with one task, told what to do by environment variables, and understood by its
exit code and its termination message alone. They know nothing of Kubernetes.
"""
