"""The data: a data frame whose columns may be tensors. No files and no pipelines live here."""

import fireworks.message.pytorch.loader  # registers with torch's DataLoader
import fireworks.message.pytorch.pytree  # noqa: F401 (registers with torch's trees)
from fireworks.message.arrays.tensor_array import TensorArray, TensorDtype
from fireworks.message.combine import concat
from fireworks.message.message import Message
from fireworks.message.schema import Field, Schema

__all__ = ["Field", "Message", "Schema", "TensorArray", "TensorDtype", "concat"]
