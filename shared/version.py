"""The product's version, on every artifact and in every log line."""

VERSION = "0.1.0"
