"""What speaks through an optical head or a customer port, without I/O: characters and messages.

`line` holds the character layer all of them share; `iec62056_21` is asked, `sml` and `dsmr` push.
"""
