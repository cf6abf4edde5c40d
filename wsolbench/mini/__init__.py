"""The embedded benchmark: a seeded generator of pictures, and a small classifier trained on them.

It lets every part of wsolbench run without a data set or a download; it ranks no methods.

- `scenes`: the pictures, their masks and boxes (`generate_split`, `write_benchmark`).
- `classifier`: the network, and `load`, which reads the weights that come with the package.
- `train`: `python -m wsolbench.mini.train`, which made those weights.
"""
