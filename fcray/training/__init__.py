"""LoRA training: the staged curriculum, shared-prefix packing and the training loop. Never imports Ray."""
