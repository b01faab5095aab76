"""Connect to an address: name resolution, HTTP proxies, TLS. The worker, the probes and the alerts all use it.

See docs/adr/0008-one-way-to-reach-an-address.md.
"""
