"""The doors of the public API: what comes in is checked here, and answered or passed on."""
