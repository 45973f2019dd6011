"""The service of ``edgekit serve``: a bundle answered over HTTP by one process.

``server`` runs it; ``gate`` is what every request passes; ``pool`` has the threads that classify; ``generation`` is one
loaded bundle, and ``reloading`` puts a new one in its place.
"""
