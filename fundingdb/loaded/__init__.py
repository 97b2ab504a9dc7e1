"""What a provider holds in memory, and the picture of the lake that it comes from."""

from fundingdb.loaded.loading import Loaded
from fundingdb.loaded.names import Chosen, Market
from fundingdb.loaded.picture import Picture

__all__ = ["Chosen", "Loaded", "Market", "Picture"]
