"""Requests for tools that come without any: templates and values derived from names, descriptions, schemas.

The result is a catalog file like those in data/, to be built from as it is and to be edited: derived
sentences name their arguments and are stiffer than what people say. Pure; the same tools give the same text.
Each module here knows those before it alone: `words`, `schemas`, `meanings`, `labels`, `values`, `flags`,
`sentences`, `catalog`.
"""

from fcray.dataset.derive.catalog import catalog_text
from fcray.dataset.derive.labels import labels_of, spoken_argument, spoken_tool
from fcray.dataset.derive.sentences import contrasts_of, incomplete_of, templates_of
from fcray.dataset.derive.values import Values, pool_of
from fcray.dataset.derive.words import words_of

__all__ = [
    "Values",
    "catalog_text",
    "contrasts_of",
    "incomplete_of",
    "labels_of",
    "pool_of",
    "spoken_argument",
    "spoken_tool",
    "templates_of",
    "words_of",
]
