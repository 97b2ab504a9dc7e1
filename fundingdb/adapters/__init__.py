"""fundingdb's rates and payments in the forms that other backtesters read; each module needs its own extra."""
