"""`drumblender-dataset`: the command line."""
