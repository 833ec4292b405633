"""A gateway that does not count every third error."""
