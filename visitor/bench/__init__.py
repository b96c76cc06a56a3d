"""The demo: a made-up district and virtual hardware that goes through the very same code as the real. Only `--demo` imports it."""
