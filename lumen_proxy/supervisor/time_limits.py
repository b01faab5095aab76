"""How long the supervisor waits for a process.

Other modules read them as `time_limits.BOOT_S`, so that a test changes them in one place.
"""

BOOT_S = 30.0  # to readiness; measured: 0.2 s warm, 0.8 s without bytecode, several on a loaded machine
PROMOTION_S = 5.0  # from the promotion of a standby to readiness; measured: 0.03 s. A standby may hang while it waits
DRAIN_GRACE_S = 2.0  # after its own deadline a worker still writes its error events
KILL_S = 5.0  # from SIGKILL to the end; longer only for a process stuck in the kernel
