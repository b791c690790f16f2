"""`drumblender`: the command line."""
