"""Observe and apply, one module per kind; `rim` is the only module that imports kopf.

A controller gathers what the planner needs, lets it plan, carries the plan out, and has the
status written once. Everything that it must remember after a crash is in the API server.
"""
