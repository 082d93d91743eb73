"""Models that join items through a graph: with users, with other items, with what is known of them."""
