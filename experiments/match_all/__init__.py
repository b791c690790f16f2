"""What `match` reaches on recordings of seven kinds, beside sounds that need no search."""
