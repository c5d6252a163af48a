"""Runs Gradient workflow files, unmodified, on any Kubernetes cluster.

The rooms of this package, from the inside out: `api` (the kinds), `workflow` (a Gradient file:
read, check, compile), `engine` (pure planner and policies), `pods` (a job becomes a Pod),
`datasets` (the snapshot format), `helpers` (what runs beside a user's container), `kube` (client,
reflector, queue, elector), `observability`, `controllers` (observe and apply, per kind), `cli`.
"""
