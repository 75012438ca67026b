"""The contract of the stores as a test suite, for backends of your own too; needs pytest."""
