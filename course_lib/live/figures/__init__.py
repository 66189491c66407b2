"""One module a live figure; each defines ``FIGURE``, a `LiveFigure` of the same name as the module."""
