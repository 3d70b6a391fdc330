"""The commands, one per file (layer 5): build, call, print."""
