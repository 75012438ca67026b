"""The stores: each keeps the contract of ``gitstore.core.protocol``."""
