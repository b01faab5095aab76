"""The one way to reach an address: name, addresses, proxy, TLS. Used by the worker, by every probe and by the alerts.

See docs/adr/0008-one-way-to-reach-an-address.md.
"""
