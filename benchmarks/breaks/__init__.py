"""Real clients against every fault that a client can see: who breaks, and on what."""
