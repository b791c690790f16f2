"""`python -m drumblender`."""

from drumblender.cli import main

main()
