"""What needs no training: resynthesise, match, import, export."""
