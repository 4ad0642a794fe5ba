"""Many inputs to one."""
