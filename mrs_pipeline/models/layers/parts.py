"""What an item's vector is made of: its identifier and its modalities, by name."""

from collections.abc import Mapping

from torch import Tensor

IDENTIFIER = "id"
"""Name of the part that is no modality."""
CONTENT = "content"
"""Name of the part in which all modalities are one."""

Parts = Mapping[str, Tensor]
"""Name of a part -> vectors of items [n, D] or of tokens [B, K, D]."""

MaskedParts = Mapping[str, tuple[Tensor, Tensor]]
"""Name of a part -> vectors [n, D], zero where absent, and who has one [n] bool."""
