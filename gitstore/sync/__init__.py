"""Histories that travel: into a store, and from one store to another."""
