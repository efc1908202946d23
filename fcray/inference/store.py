"""The room of a running batch: the keys and values of its answers' own tokens, each answer in its place.

Knows nothing of prefixes, attention or requests.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from fcray.inference.cache import Layers

COLUMNS = 32
"""Places for tokens are made and read in multiples of it."""


class Store:
    """The keys and values of the answers' own tokens: for each layer (places, columns, groups, width).

    What is not filled is zero: nobody sees it, but it must be finite.

    Parameters
    ----------
    like: Keys and values of each layer; their shapes, device and floats are taken over.
    places: How many answers there are at a time, at most.
    columns: Tokens to make room for in each place.

    Attributes
    ----------
    groups: Heads of a key and of a value.
    """

    def __init__(self, like: Layers, places: int, columns: int) -> None:
        self.places, self.columns = places, rounded(columns)
        shape = (self.places, self.columns)
        first = like[0][0]
        self.groups, self.device, self.dtype = first.shape[1], first.device, first.dtype
        self._layers = [
            [one.new_zeros(*shape, one.shape[1], one.shape[3]) for one in pair] for pair in like
        ]

    def make_room(self, columns: int) -> None:
        """Have room for answers of so many tokens."""
        if columns > self.columns:
            more = max(rounded(columns), 2 * self.columns) - self.columns
            self.columns += more
            self._layers = [
                [torch.nn.functional.pad(one, (0, 0, 0, 0, 0, more)) for one in pair]
                for pair in self._layers
            ]

    def write(
        self, layer: int, where: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> None:
        """Put (1, groups, T, width) keys and values, up to as many as `where` holds, into these columns.

        Columns are numbered through all places.
        """
        for whole, new in zip(self._layers[layer], (key, value), strict=True):
            whole.flatten(0, 1).index_copy_(0, where, new[0, :, : len(where)].transpose(0, 1))

    def read(
        self, layer: int, places: slice | torch.Tensor, columns: int
    ) -> Iterator[torch.Tensor]:
        """The keys and the values of some places: (places, groups, columns, width)."""
        return (whole[places, :columns].transpose(1, 2) for whole in self._layers[layer])


def rounded(columns: int) -> int:
    """As many columns, or the few more that are made and read with them."""
    return -(-columns // COLUMNS) * COLUMNS
