"""A gateway that tells its password to whoever reads its output and files."""
