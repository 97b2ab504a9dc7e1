"""Charts, drawn once for every place that shows them: SVG for pages, blocks for a terminal."""
