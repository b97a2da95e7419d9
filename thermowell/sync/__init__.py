"""The synchronous client: made from thermowell.aio, and held against it by a test. Change that, never this."""
