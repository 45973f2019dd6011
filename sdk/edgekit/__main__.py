"""``python -m edgekit`` is ``edgekit``; torchrun starts it so: ``torchrun --nproc-per-node 2 -m edgekit finetune …``."""

from edgekit.cli import main

if __name__ == "__main__":
    main()
