"""Files of the shop become sealed members, pseudonymous facts and consent records; what cannot is reported by row."""
