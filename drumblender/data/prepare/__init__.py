"""Raw recordings -> a prepared folder: fetch, read, cut, list, pack."""
