"""The commands that people use around the proxy, run as people run them."""
