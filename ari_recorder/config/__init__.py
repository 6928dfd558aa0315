"""What people write into TOML files: machine settings and targets, typed and checked."""
