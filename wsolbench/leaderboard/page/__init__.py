"""The leaderboard's web page."""
