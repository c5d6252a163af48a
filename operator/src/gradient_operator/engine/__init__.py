"""What should happen next: pure functions over what was observed, one policy per file.

Nothing here does I/O, reads a clock or keeps state: `planner.plan` takes an observation and the
time, and returns the whole next step. Planning twice from the same observation is harmless.
"""
