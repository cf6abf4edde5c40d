"""The embedded benchmark: a seeded generator of pictures, and a small classifier trained on them.

With it every part of wsolbench runs without a data set or a download; it is not meant to rank
methods.

- `scenes`: the pictures, their masks and boxes (`generate_split`, `write_benchmark`).
- `difficulty`: how much of a scene indicates its class (`DEMO`, `STUDY`).
- `classifier`: the network, and `load`, which reads the weights included in the package.
- `train`: `python -m wsolbench.mini.train`, which produced those weights.
"""
