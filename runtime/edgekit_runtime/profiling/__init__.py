"""What a bundle costs on this device: time, memory, energy."""
