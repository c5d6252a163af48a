"""A Kubernetes cluster anywhere: one that exists, kind where Docker runs, or plain processes."""
