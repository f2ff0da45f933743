"""Trained weights of others: read from files and frameworks' names into points that can be measured."""

from .network import SCHEMES, Layer, measure_network, read_network

__all__ = ["SCHEMES", "Layer", "measure_network", "read_network"]
