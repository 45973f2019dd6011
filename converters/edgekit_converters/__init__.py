"""From a checkpoint to a verified bundle: the part of edgekit that needs torch."""
