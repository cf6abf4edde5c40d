"""Metrics over arrays: they open no file, print nothing and know no data set.

- `levels`: a map brought to the image's grid and cut into 256 levels.
- `pixel`: IoU-Threshold and precision-recall curves from histograms of levels.
- `boxes`: the largest component's box at every threshold, and box IoU.
- `images`: all of these for many images at once, from run lengths (`packed`: their form).
- `kernels`: the loops behind them; `segments`: boxes where rows have few peaks; `flood`: elsewhere;
  `compiled`: what compiles them.
- `family`, `choices`: what a metric family is, and the choices of a protocol that it reads.
- `classes`: Top-1 and Top-5 classification.
- `contours`: boxes as other programs draw them with OpenCV (`opencv`).

Axes are (height, width); boxes are (x0, y0, x1, y1) in pixels, half-open; counts are int64.

Examples:
    >>> from wsolbench.metrics.levels import level_map
    >>> from wsolbench.metrics.pixel import count_pixels, iou
    >>> mask = np.eye(4, dtype=bool)
    >>> counts = count_pixels(level_map(np.float32(mask), 4, 4), mask)
    >>> counts.shape, float(iou(counts)[255])
    ((2, 256), 1.0)
"""
