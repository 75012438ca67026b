"""Events as lines of JSON: the exchange format every event tool can read."""
