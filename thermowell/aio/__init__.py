"""The asynchronous client, which is the source of the other one."""
