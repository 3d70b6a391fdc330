"""Boxes that keep their own examples, and a coordinator that gets sums from them."""
