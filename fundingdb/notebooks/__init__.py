"""marimo notebooks; `python -m fundingdb.notebooks` prints the path of the notebook."""
