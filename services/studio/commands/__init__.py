"""The `diary` command, a file per noun or verb."""
