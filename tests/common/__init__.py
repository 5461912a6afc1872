"""What several tests share: a world with a shop, members who consent, buy, withdraw and ask for erasure."""
