"""The report's plots: a record in, a figure out, or None where there is nothing to draw.

A figure is plain data in Plotly's schema (plotly.com/javascript/reference).

`style` holds what they share, `curves` how trials learned, `clock` where the time went, and
`space` what was searched. None knows of the page: the colours of text, ground and grid are the
page's (`assets/report.js`), so that they follow its light and dark modes.
"""
