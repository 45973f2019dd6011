"""Tuning: the search for the bundle that suits a device and a budget, by measurement."""
