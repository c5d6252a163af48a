"""How a person sees what the operator does: metrics, health, logs, and the runtime's own state."""
