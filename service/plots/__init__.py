"""Plots as data, drawn once as SVG and once as Plotly's JSON."""
