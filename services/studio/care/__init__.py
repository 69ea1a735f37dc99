"""Data care: what is stored, what may go, what travels, and what an erasure leaves."""
