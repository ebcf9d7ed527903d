"""Sessions: steps that arrive together run as one batch; WebSockets, through which clients stream them."""
