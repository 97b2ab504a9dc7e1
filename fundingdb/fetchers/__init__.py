"""One file an exchange: its datasheet, and pure functions from bytes to rows. No network, disk or clock."""
