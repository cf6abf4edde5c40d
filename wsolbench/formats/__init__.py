"""The three file formats: annotations, submissions, results."""
