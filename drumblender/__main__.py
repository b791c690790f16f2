"""`python -m drumblender`."""

from drumblender.cli import main

if __name__ == "__main__":
    main()
