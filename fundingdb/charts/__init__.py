"""Charts for reports, notebooks and the terminal: inline SVG, and block characters."""
