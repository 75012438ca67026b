"""Values and contracts of the event store. No files, no git, no clock."""
