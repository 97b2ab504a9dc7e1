"""The reading side: SQL views over the files of the lake, trading fees, and the health page."""
