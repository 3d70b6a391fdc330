"""The torture bench: kills, hostile inputs and parallel runs against the command itself."""
