"""What a reader opens: SQL views over the files of the lake, trading fees, and the health page."""
