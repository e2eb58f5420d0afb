"""One HTML page about a run, a sweep, a search or a back-test, with all that it shows inside.

page.py builds HTML from templates/, page.css and page.js; charts.py and figures.py draw SVG. Beside
them is one module for each kind of page: what it shows, read from the record alone.
"""
