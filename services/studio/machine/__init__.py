"""The product on one machine: what it has, its secrets, its processes."""
