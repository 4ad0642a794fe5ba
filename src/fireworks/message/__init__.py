"""The data: a data frame whose columns may be tensors. No files and no pipelines live here."""

from fireworks.message.combine import concat
from fireworks.message.message import Message
from fireworks.message.schema import Field, Schema
from fireworks.message.tensor_array import TensorArray, TensorDtype

__all__ = ["Field", "Message", "Schema", "TensorArray", "TensorDtype", "concat"]
