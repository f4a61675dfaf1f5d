"""The rows of all layers together: their order, their groups, fewer of them, many of them."""
