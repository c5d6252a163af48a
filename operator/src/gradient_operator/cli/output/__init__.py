"""What commands print, made from plain data: no I/O and no clock but what is handed in."""
