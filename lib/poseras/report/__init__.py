"""A result folder as one web page: numbers with their protocol, curves, errors, pictures, poses.

`runs` reads what a test left behind, `protocols` says whether two runs may be compared, `people`
and `analysis` look at everybody again, `pictures` and `space` choose what is worth seeing, `charts`
draws, `sections` and `page` write the HTML. A page is one file without anything from elsewhere, so
it opens offline.
"""
