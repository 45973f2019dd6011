"""The contenders: how each is made from one checkpoint, and how each is opened. One file a kind; lineup.py has them all."""
