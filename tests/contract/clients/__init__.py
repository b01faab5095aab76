"""Real clients, each a process of its own, and what they are asked to do."""
