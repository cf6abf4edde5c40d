"""From maps and annotations to scores, intervals, groups and comparisons."""
