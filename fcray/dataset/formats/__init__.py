"""The row formats of the field, each read and written by one module here."""

from fcray.dataset.formats.alpaca import Alpaca
from fcray.dataset.formats.base import FORMATS, Format, Source
from fcray.dataset.formats.bfcl import BFCL
from fcray.dataset.formats.hermes import Hermes
from fcray.dataset.formats.native import Native
from fcray.dataset.formats.openai import OpenAI
from fcray.dataset.formats.reading_back import losses
from fcray.dataset.formats.seal import SealTools
from fcray.dataset.formats.sharegpt import ShareGPT, dataset_info
from fcray.dataset.formats.values import Note, Row, RowError
from fcray.dataset.formats.xlam import XLAM

_ORDER = (Native(), OpenAI(), ShareGPT(), Alpaca(), Hermes(), XLAM(), BFCL(), SealTools())
FORMATS.update((one.name, one) for one in _ORDER)

__all__ = ["FORMATS", "Format", "Note", "Row", "RowError", "Source", "dataset_info", "losses"]
