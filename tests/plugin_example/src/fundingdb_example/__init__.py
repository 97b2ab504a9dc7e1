"""An exchange for fundingdb."""
