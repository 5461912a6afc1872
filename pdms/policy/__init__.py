"""Policy documents and the pure decision on them."""
