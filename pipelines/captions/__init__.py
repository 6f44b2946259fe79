"""Pictures and their captions: reading, checking, preparing and batching them."""
