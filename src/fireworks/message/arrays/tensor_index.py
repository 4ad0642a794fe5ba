"""An index of tensor rows, so that pandas finds a row by its values; its own index would ask Python objects."""

from __future__ import annotations

from typing import Any

import pandas as pd


class TensorIndex(pd.Index):
    """What pandas makes of a tensor column whose rows have more than one element, as `DataFrame.set_index` does.

    Example:
        >>> frame = fw.Message({"v": torch.tensor([[1, 2], [3, 4]]), "n": [5, 6]}).to_pandas().set_index("v")
        >>> int(frame.index.get_loc(torch.tensor([3, 4])))
        1
    """

    _can_use_libjoin = False  # which is for what NumPy holds without a copy

    def _getitem_slice(self, slobj: slice) -> Any:
        # pandas' own goes on to compare the first row with the last, by `<`, which rows don't have
        return pd.Index(self.array[slobj], name=self.name, copy=False)
