"""The exchange Example for fundingdb."""
